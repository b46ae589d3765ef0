"""The segmenter: short first clause, whole sentences, independent of the deltas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.turn.writing.segmenter import Segment, Segmenter


def cut(text: str, *pieces: int) -> list[Segment]:
    segmenter = Segmenter()
    segments = []
    start = 0
    for end in (*sorted(pieces), len(text)):
        segments += segmenter.push(text[start:end])
        start = max(start, end)
    return segments + segmenter.finish()


def texts(text: str) -> list[str]:
    return [segment.text for segment in cut(text)]


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        (
            "Well, I can do a lot, such as this. Ask me!",
            ["Well, I can do a lot,", "such as this.", "Ask me!"],
        ),
        ("It is 3.14, not 1,000. Yes.", ["It is 3.14,", "not 1,000.", "Yes."]),
        ("We meet at 10:30. Come.", ["We meet at 10:30.", "Come."]),
        ("Dr. Li of the U.S. is here. Hi.", ["Dr. Li of the U.S. is here.", "Hi."]),
        ("Take fruit, e.g. apples. Good.", ["Take fruit, e.g. apples.", "Good."]),
        ("J. R. R. Tolkien wrote it. So.", ["J. R. R. Tolkien wrote it.", "So."]),
        (
            "See https://a.example/b,c?d=1.5. Then go.",
            ["See https://a.example/b,c?d=1.5.", "Then go."],
        ),
        ("Mail me@mail.example.org now. Ok.", ["Mail me@mail.example.org now.", "Ok."]),
        ("Open setup.py v1.2.3 first. Ok.", ["Open setup.py v1.2.3 first.", "Ok."]),
        ("Wait... I think. So?!", ["Wait...", "I think.", "So?!"]),
        ('She said "Stop." Then left.', ['She said "Stop."', "Then left."]),
        ("(It is so.) Next.", ["(It is so.)", "Next."]),
        ("1. Milk. 2. Bread.", ["1. Milk.", "2. Bread."]),
        ("Great!😀 Next.", ["Great!😀", "Next."]),
        (
            "A family 👨‍👩‍👧. A flag 🇩🇪! Thumbs 👍🏽.",
            ["A family 👨‍👩‍👧.", "A flag 🇩🇪!", "Thumbs 👍🏽."],
        ),
        ("First line\nsecond line", ["First line", "second line"]),
        ("你好，我是小安，很高兴认识你。再见！", ["你好，我是小安，", "很高兴认识你。", "再见！"]),
        (
            "圆周率是3.14。他说：“好的。”然后走了。",
            ["圆周率是3.14。", "他说：“好的。”", "然后走了。"],
        ),
        ("真的吗？！是的……好。", ["真的吗？！", "是的……", "好。"]),
        ("我用Python 3.11写的，你呢？", ["我用Python 3.11写的，", "你呢？"]),
        ("Yes.", ["Yes."]),
        ("no mark at all", ["no mark at all"]),
        ("", []),
        ("  \n \t ", []),
    ],
)
def test_segments(text: str, segments: list[str]) -> None:
    assert texts(text) == segments


def test_first_clause_needs_no_look_ahead() -> None:
    segmenter = Segmenter()
    assert [s.text for s in segmenter.push("Well, I can help you,")] == ["Well, I can help you,"]


def test_first_chinese_clause_needs_no_look_ahead() -> None:
    segmenter = Segmenter()
    assert [s.text for s in segmenter.push("我可以帮你，")] == ["我可以帮你，"]


def test_number_is_waited_for() -> None:
    segmenter = Segmenter()
    assert segmenter.push("You will owe me 1,") == []
    assert segmenter.push("000 dollars and 3.") == []
    assert [s.text for s in segmenter.push("5 cents. ")] == [
        "You will owe me 1,000 dollars and 3.5 cents."
    ]


def test_later_clauses_stay_in_their_sentence() -> None:
    assert texts("One two three, four, five, six. Seven, eight; nine: ten.")[1:] == [
        "four, five, six.",
        "Seven, eight; nine: ten.",
    ]


def test_long_sentence_is_cut_at_a_clause_then_at_words() -> None:
    clause = "word " * 30
    long = f"Start now, {clause.strip()}, {clause.strip()}, {'word ' * 200}end."
    segments = texts(long)
    assert all(len(segment) <= 240 for segment in segments)
    assert segments[1].endswith(",")
    assert " ".join(segments) == long


def test_long_chinese_without_marks_is_cut() -> None:
    segments = texts("好" * 300)
    assert "".join(segments) == "好" * 300
    assert max(map(len, segments)) <= 80


def test_long_address_stays_whole() -> None:
    address = "https://a.example/" + "x" * 600
    assert address in texts(f"Please have a look at {address} now.")[1]


words = st.sampled_from(
    [
        "hello", "Dr.", "3.14", "1,000", "10:30", "e.g.", "U.S.", "https://a.example/x,y",
        "a@b.example", "v1.2.3", "你好", "，", "。", "！", "“", "”", "「好」", "👨‍👩‍👧",
        "🇩🇪", "👍🏽", "!", "?", ".", ",", ";", ":", "...", "…", "—",
        '"', "'", "(", ")", "\n", " ", "  ", "J.", "word", "这是", "长" * 50, "word " * 30,
    ]
)  # fmt: skip
answers = st.one_of(st.text(max_size=200), st.lists(words, max_size=40).map("".join))


@given(answers, st.data())
def test_any_cutting_of_the_deltas_gives_the_same_segments(text: str, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=10))
    assert cut(text, *places) == cut(text)


@given(answers)
def test_spans_are_exact_and_nothing_is_lost(text: str) -> None:
    end = 0
    for number, segment in enumerate(cut(text), 1):
        assert segment.number == number
        assert segment.text == segment.text.strip() != ""
        assert text[segment.start_char : segment.end_char] == segment.text
        assert text[end : segment.start_char].strip() == ""
        assert len(segment.text) <= 2000
        end = segment.end_char
    assert text[end:].strip() == ""


@given(
    st.lists(
        st.sampled_from(
            ["3.14", "1,000", "10:30", "U.S.", "v1.2.3", "a@b.example", "👨‍👩‍👧", "🇩🇪"]
        ),
        min_size=1,
    )
)
def test_no_token_is_broken(tokens: list[str]) -> None:
    text = " ".join(f"we say {token} now." for token in tokens)
    assert "".join(texts(text)).count("we say") == len(tokens)
    for token, segment in zip(tokens, texts(text), strict=True):
        assert token in segment


@pytest.mark.parametrize(
    ("pieces", "at_once"),
    [
        (["This is a plain sentence."], ["This is a plain sentence."]),
        (["Is this a", " plain question?"], ["Is this a plain question?"]),
        (["It costs about 3."], []),
        (["You can ask Dr."], []),
        (['He said "this is a sentence.'], []),
        (["Not so long."], []),
        (["Read all of it at anima.dev/docs"], []),
    ],
)
def test_plain_first_sentence_does_not_wait_for_the_next_word(
    pieces: list[str], at_once: list[str]
) -> None:
    segmenter = Segmenter()
    segments = [segment.text for piece in pieces for segment in segmenter.push(piece)]
    assert segments == at_once


def test_later_sentences_wait_for_the_next_word() -> None:
    segmenter = Segmenter()
    assert len(segmenter.push("This is a plain sentence.")) == 1
    assert not segmenter.push(" And this is another one.")
    assert len(segmenter.push(" So")) == 1
