from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm.speech.speech_text import SpeechText


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
        ("Before\n```python\nprint('x')\n```\nafter.", "Before after."),
        ("~~~\ncode that never ends", ""),
        ("See [the docs](https://a.b/c_(d)) now.", "See the docs now."),
        ("A picture: ![a cat](cat.png)!", "A picture:!"),
        ("As known [1], and [2, 3].", "As known, and."),
        ("Really [sic] so.", "Really sic so."),
        ("Look at https://www.example.com/x?y=1.", "Look at example.com."),
        ("www.example.org, HTTP://a.b/c", "example.org, a.b"),
        ("How? what, hh www ht", "How? what, hh www ht"),
        ("one<br>two <b>three</b> 3 < 4 <3", "one two three 3 < 4 <3"),
        ("fish &amp; chips, R&D & more", "fish & chips, R&D & more"),
        ("Hi 😀! 👍🏽 1️⃣ ❤️ ok", "Hi! 1 ok"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a b 1 2"),
        ("One.\n\n---\n\nTwo.", "One. Two."),
        ("snake_case and _this_", "snake case and this"),
        ("3 * 4 is 12", "3 × 4 is 12"),
        ("3*4 is 12, **3**, 4** and 5**", "3×4 is 12, 3, 4 and 5"),
        ("~~gone~~ ~5", "gone about 5"),
        (r"\*no\* \(x\)", "no x"),
        ("Wait!\r\nNow!", "Wait! Now!"),
        ("a [link](http://never.end", "a link"),
        ("ends in [", "ends in ["),
    ],
)
def test_markup_becomes_speech(written: str, said: str) -> None:
    assert spoken(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("It is 20°C and 5 km away.", "It is 20 degrees Celsius and 5 kilometres away."),
        (
            "1 km, 1.5 m, 80kg, 120 km/h",
            "1 kilometre, 1.5 metres, 80 kilograms, 120 kilometres per hour",
        ),
        ("It costs $5.50, €1 or £3 million.", "It costs 5.50 dollars, 1 euro or 3 million pounds."),
        ("10–20 people, ~30%.", "10 to 20 people, about 30 percent."),
        ("MP3 m, 5 m2, 5 men, COVID-19 s.", "MP3 m, 5 m2, 5 men, COVID-19 seconds."),
        ("25℃ in 3 s", "25 degrees Celsius in 3 seconds"),
        ("20~30 people, about 5–6 km", "20 to 30 people, about 5 to 6 kilometres"),
        ("1 m², 5 m³, 60 fps", "1 square metre, 5 cubic metres, 60 frames per second"),
        ("In 2026, at 10:30, 1,000 people.", "In 2026, at 10:30, 1,000 people."),
    ],
)
def test_units_are_spelled(written: str, said: str) -> None:
    assert spoken(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("**你好**！我重5kg，今天25℃。", "你好！我重5公斤，今天25摄氏度。"),
        ("有50%的人。价格¥20，~3 km", "有百分之50的人。价格20元，大约3公里"),
        ("我会：\n1、说\n2、听", "我会：说。听。"),
        ("一行\n两行", "一行两行"),
        ("参见[文档](http://x.y)，或http://a.b/c。", "参见文档，或a.b。"),
        ("10–20人", "10到20人"),
        ("20~30元，共￥100元，5 m²", "20到30元，共100元，5平方米"),
    ],
)
def test_chinese_is_spoken_chinese(written: str, said: str) -> None:
    assert spoken(written, "zh-CN") == said


def test_other_languages_keep_their_units() -> None:
    assert spoken("**Es** sind 5 km.", "de") == "Es sind 5 km."


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
def test_nothing_that_cannot_be_said_is_left(text: str) -> None:
    said = spoken(text)
    assert "`" not in said
    assert "😀" not in said
    assert "  " not in said
    assert "\n" not in said
    assert said == said.lstrip()


def test_words_are_not_held_back() -> None:
    speech = SpeechText("en")
    assert speech.feed("Yes, I can") == "Yes, I can"
    assert speech.feed(" do") == " do"
