from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm.speech.speech_text import SpeechText

CODE = "I have written code, which I do not read aloud."
NOTHING = "I have nothing to add to that."


def spoken(text: str, language: str = "en", cuts: Iterable[int] = ()) -> str:
    speech = SpeechText(language)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    parts = [speech.feed(text[start:end]) for start, end in pairwise(places)]
    return "".join(parts) + speech.finish()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Plain text, nothing else.", "Plain text, nothing else."),
        ("**Bold**, *it* and __both__; `code`.", "Bold, it and both; code."),
        ("# Title\n\nText", "Title. Text"),
        ("I can:\n- see\n- hear.\n\n* speak", "I can: see. hear. speak."),
        ("1. One\n2. Two\n3) Three", "One. Two. Three."),
        ("42. That is it.", "42. That is it."),
        ("2026. A year.\n3. Not the third.", "2026. A year. 3. Not the third."),
        ("- [ ] open\n- [x] done", "open. done."),
        ("A soft\nbreak\n\nthen a new one", "A soft break. then a new one"),
        ("> said **he**", "said he"),
        ("Before\n```python\nprint('x')\n```\nafter.", f"Before. {CODE} after."),
        ("~~~\ncode that never ends", CODE),
        ("See [the docs](https://a.b/c_(d)) now.", "See the docs now."),
        ("A picture: ![a cat](cat.png)!", "A picture:!"),
        ("As known [1], and [2, 3].", "As known, and."),
        ("Really [sic] so.", "Really [sic] so."),
        ("Look at https://www.example.com/x?y=1.", "Look at https://www.example.com/x?y=1."),
        ("www.example.org, HTTP://a.b/c", "www.example.org, HTTP://a.b/c"),
        ("How? what, hh www ht", "How? what, hh www ht"),
        ("one<br>two <b>three</b> 3 < 4 <3", "one two three 3 < 4 <3"),
        ("fish &amp; chips, R&D & more", "fish & chips, R&D & more"),
        ("Hi 😀! 👍🏽 1️⃣ ❤️ ok", "Hi 😀! 👍🏽 1️⃣ ❤️ ok"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a, b. 1, 2."),
        ("One.\n\n---\n\nTwo.", "One. Two."),
        ("snake_case and _this_", "snake_case and this"),
        ("3 * 4 is 12", "3 * 4 is 12"),
        ("3*4 is 12, **3**, 4** and 5**", "3*4 is 12, 3, 4** and 5**"),
        ("~~gone~~ ~5", "gone ~5"),
        (r"\*no\* \(x\)", "*no* x"),
        ("Wait!\r\nNow!", "Wait! Now!"),
        ("a [link](http://never.end", "a link"),
        ("ends in [", "ends in ["),
    ],
)
def test_markup_becomes_speech(written: str, said: str) -> None:
    assert spoken(written) == said


@pytest.mark.parametrize(
    "text",
    [
        "2*3*4 and 2 * 3 * 4",
        "a_b_c and user_name@site.org",
        "#1 of #2, in C# and F#",
        "~5 and x > 3 and y < 2",
        "C# and .NET",
        "Use .env files, a .pdf file, about .5 percent.",
        "Run ./start.sh, try :q, hello :) friend, press ? for help.",
        "array[0] = x; f(x)[1]; List[int] and dict[str, int]",
        r"C:\Users\me\file.txt and \\server\share",
        "List<int>, vector<T> and <your name>",
        "It costs $5 and $6, or $7.",
        "{name} and {id} in ${user}; f'{name}'",
        "**kwargs and *args",
        "a | b or c || d",
        "R&D, AT&T & more",
        "He said (laughing at me) that (x) is (1).",
        "42. That is it.",
        "price: 5 €, 20 °C, 5'11\"",
        "jo.doe@mail.example.org at 192.168.0.14:8080",
        "Great 👍🏽 job 👨\u200d👩\u200d👧 done",
        "100% of 3/4",
    ],
)
def test_what_is_no_markup_stays(text: str) -> None:
    assert spoken(text) == text
    assert spoken(text, "zh") == text


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "| Item | Price |\n|---|---|\n| Pen | $2 |\n\nThat is all.",
            "Item, Price. Pen, $2. That is all.",
        ),
        ("Item | Price\n--|--\nPen | **$2**", "Item, Price. Pen, $2."),
        ("| a |\nis no table", "| a | is no table"),
        ("Name: Ada\nAge: 36\nCity: London", "Name: Ada. Age: 36. City: London"),
        ("a. first\nb. second", "a. first. b. second"),
        ("1. 2. 3. go", "go."),
        ("- a\n    - deep\n- b", "a. deep. b."),
        ("Title\n===\nText", "Title. Text"),
        ("One\n---\nTwo", "One. Two"),
        ("Note[^1] this.\n\n[^1]: A footnote.", "Note this."),
        ("[docs]: http://a.b\nSee [docs].", "See [docs]."),
        ("<https://a.b/c> and <!-- hidden --> this", "https://a.b/c and this"),
        ("Let $x = 5$ and \\(y\\): $$E=mc^2$$", "Let x = 5 and y: E=mc^2"),
        ("*smiles* Hello *waves*", "Hello"),
        ("[laughter] Fine.", "Fine."),
        ("(laughs) That is funny.", "That is funny."),
        ("Well, *nods slowly* yes.", "Well, yes."),
        ("*Smile* is a song, and *he smiles* too.", "Smile is a song, and he smiles too."),
        ("**Bold that never ends", "Bold that never ends"),
    ],
)
def test_structure_becomes_sentences(written: str, said: str) -> None:
    assert spoken(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("```\nx = 1\n```", CODE),
        ("Here:\n```\nx\n```\nand\n```\ny\n```", f"Here: {CODE} and."),
        ("![a cat](cat.png)", "A picture: a cat."),
        ("![](cat.png)", "I have sent a picture."),
        ("---", NOTHING),
        ("[1]", NOTHING),
        ("*waves*", NOTHING),
    ],
)
def test_an_answer_without_words_says_something(written: str, said: str) -> None:
    assert spoken(written) == said


def test_an_answer_in_chinese_without_words_says_something() -> None:
    assert spoken("```\nx\n```", "zh") == "我写了一段代码，这里就不念了。"
    assert spoken("---", "zh") == "我没有什么要补充的。"
    assert spoken("| 城市 | 温度 |\n|--|--|\n| 北京 | 5 |", "zh") == "城市，温度。北京，5。"
    assert spoken("姓名：小王\n年龄：36", "zh") == "姓名：小王。年龄：36"
    assert spoken("*微笑* 你好（点头）。", "zh") == "你好。"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("**你好**！我重5kg，今天25℃。", "你好！我重5kg，今天25℃。"),
        ("你好**重要**吗", "你好重要吗"),
        ("**“重要”**内容", "“重要”内容"),
        ("我会：\n1、说\n2、听", "我会：说。听。"),
        ("一行\n两行", "一行两行"),
        ("参见[文档](http://x.y)，或http://a.b/c。", "参见文档，或http://a.b/c。"),
        ("20~30元，共￥100元，5 m²", "20~30元，共￥100元，5 m²"),
    ],
)
def test_chinese_keeps_its_characters(written: str, said: str) -> None:
    assert spoken(written, "zh-CN") == said


MARKUP = st.text(
    alphabet=st.sampled_from(list("*_`~#->|[]()!<>&;\\\n\n  .:1259$%°–wht/aek你好，。😀\r")),
    max_size=60,
)


@settings(deadline=None)
@given(text=MARKUP | st.text(max_size=40), cuts=st.lists(st.integers(0, 60)))
def test_where_a_piece_ends_makes_no_difference(text: str, cuts: list[int]) -> None:
    for language in ("en", "zh"):
        assert spoken(text, language, cuts) == spoken(text, language)


@settings(deadline=None)
@given(text=MARKUP)
def test_lines_and_blanks_are_joined(text: str) -> None:
    said = spoken(text)
    assert "  " not in said
    assert "\n" not in said
    assert said == said.lstrip()


def test_words_are_not_held_back() -> None:
    speech = SpeechText("en")
    assert speech.feed("Yes, I can") == "Yes, I can"
    assert speech.feed(" do") == " do"


def test_bold_text_is_spoken_before_it_ends() -> None:
    speech = SpeechText("en")
    assert speech.feed("**Yes, I can") == "Yes, I can"
    assert speech.feed(" do** it") == " do it"
    chinese = SpeechText("zh")
    assert chinese.feed("**好的，我") == "好的，我"


def test_a_price_is_not_held_back() -> None:
    assert SpeechText("en").feed("It costs $5 a month") == "It costs $5 a month"
