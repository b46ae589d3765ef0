from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm.speech.words import count_words, pieces, sentences, shorten


@settings(deadline=None)
@given(st.text())
def test_pieces_make_up_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


@settings(deadline=None)
@given(
    st.text(alphabet="ab 中文，。.é\u0301\U0001f469\u200d\U0001f4bb", max_size=60),
    st.integers(1, 9),
)
def test_a_cut_text_keeps_the_limit_and_is_a_beginning(text: str, limit: int) -> None:
    kept, was_cut = shorten(text, limit)
    assert count_words(kept) <= limit
    assert text.startswith(kept)
    assert was_cut == (count_words(text) > limit)


def test_pieces_are_words_or_characters() -> None:
    assert pieces("Hello, my friend.") == ["Hello, ", "my ", "friend."]
    assert pieces("你好，Anima！好") == ["你", "好，", "Anima！", "好"]
    assert pieces("e\u0301te\u0301 \U0001f469\u200d\U0001f4bb!") == [
        "e\u0301te\u0301 ",
        "\U0001f469\u200d\U0001f4bb!",
    ]
    assert pieces("葛\U000e0100城") == ["葛\U000e0100", "城"]


def test_words_are_counted() -> None:
    assert count_words("One two, three - four.") == 4
    assert count_words("你好，世界！") == 4
    assert count_words("我用 gRPC。") == 3
    assert count_words(" … ") == 0


def test_a_text_is_cut_after_a_sentence_if_one_fits() -> None:
    text = "It costs 3.50 euros. That is all. Really."
    assert shorten(text, 5) == ("It costs 3.50 euros.", True)
    assert shorten(text, 7) == ("It costs 3.50 euros. That is all.", True)
    assert shorten(text, 2) == ("It costs", True)
    assert shorten("我是数字人。我会说话。", 7) == ("我是数字人。", True)
    assert shorten("我是数字人。", 2) == ("我是", True)


def test_sentences_keep_decimals_and_abbreviations_whole() -> None:
    assert sentences("Version 3.11 is it. See Dr. Who, e.g. today! Yes?") == [
        "Version 3.11 is it. ",
        "See Dr. Who, e.g. today! ",
        "Yes?",
    ]
    assert sentences("你好！“真的吗？”好。") == ["你好！", "“真的吗？”", "好。"]
