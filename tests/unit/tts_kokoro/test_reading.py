"""What is spoken for a text: sounds, marks, and the characters that they come from."""

from __future__ import annotations

import pytest

from services.tts.engines.kokoro.mandarin_numbers import spoken
from services.tts.engines.kokoro.reading import read
from services.tts.neural.units import Unit, split_units


def symbols(text: str, language: str = "en-US") -> str:
    return "".join(unit.symbols for unit in read(text, language=language))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world.", "həlˈO, wˈɜɹld."),
        ("I like chocolate and jam.", "ˌI lˈIk ʧˈɑklət ænd ʤˈæm."),
        ("Boys now say hey!", "bˈYz nˈW sˈA hˈA!"),
        ("water bottle", "wˈɔTəɹ bˈɑTᵊl"),
        ("Is it true? Yes; no.", "ɪz ɪt tɹˈu? jˈɛs; nˈO."),
        ("He said “go” (now).", "hi sˈɛd “ɡˌO” (nˈW)."),
        ('She said "go" now', "ʃi sˈɛd “ɡˌO” nˈW"),
        ("Well... maybe", "wˈɛl… mˈAbi"),
        ("yes - no", "jˈɛs— nˈO"),
        ("Euros", "jˈʊɹOz"),
    ],
)
def test_english(text: str, expected: str) -> None:
    assert symbols(text) == expected


def test_british_english_has_sounds_of_its_own() -> None:
    assert symbols("go home", "en-GB") == "ɡˌQ hˈQm"


@pytest.mark.parametrize("text", ["I have it", "I'm here", "So I went", "我说I think"])
def test_the_pronoun_i_is_stressed(text: str) -> None:
    assert "ˌI" in symbols(text, "en-US")


def test_other_words_with_that_sound_keep_their_stress() -> None:
    assert symbols("ideas").startswith("Id")


def test_marks_inside_numbers_and_abbreviations_are_no_pauses() -> None:
    assert not set(",.:") & set(symbols("Dr. Smith has 1,234.5 euros at 10:30"))
    assert symbols("3,5 and 4.").endswith(".")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好，世界。", "ni↓xau↓, ʂɨ↘ʨje↘."),
        ("中国人，北京，吃鱼", "ꭧʊ→ŋkwo↗ ɻə↗n, pei↓ʨi→ŋ, ꭧʰɨ→ y↗"),
        ("月亮", "ɥe↘lja↘ŋ"),
        ("二", "ɚ↘"),
        ("资源", "ʦɨ→ɥɛ↗n"),
        ("《你好》！真的？", "“ni↓xau↓”! ꭧə→ntɤ?"),
        ("嗯", "ə↗n"),
    ],
)
def test_chinese(text: str, expected: str) -> None:
    assert symbols(text, "zh") == expected


def test_the_meaning_of_a_word_decides_its_sound() -> None:
    assert symbols("银行", "zh").endswith("xa↗ŋ")
    assert symbols("行走", "zh").startswith("ɕi↗ŋ")
    assert symbols("长大", "zh").startswith("ꭧa↓ŋ")
    assert symbols("长江", "zh").startswith("ꭧʰa↗ŋ")


def test_mixed_text_is_read_by_script() -> None:
    mixed = symbols("我喜欢Python。", "zh")
    assert mixed.startswith("wo↓")
    assert symbols("Python") in mixed
    assert "ni↓xau↓" in symbols("They say 你好 there.")
    assert symbols("MP3", "zh") == symbols("MP3")


def test_every_sound_knows_its_character() -> None:
    text = "我有3个apples，好。"
    units = [unit for unit in read(text, language="zh") if unit.ipa]
    found = {text[unit.char] for unit in units}
    assert found == set("我有3个a好")
    assert [unit.char for unit in units] == sorted(unit.char for unit in units)


@pytest.mark.parametrize("text", ["", " ", "。", "¡", "!?", "…"])
@pytest.mark.parametrize("language", ["en-US", "zh", "fr"])
def test_what_cannot_be_spoken_is_silent(text: str, language: str) -> None:
    assert not any(unit.ipa for unit in read(text, language=language))


@pytest.mark.parametrize(
    "text", ["龘𠮷", "かな", "한국어", "Привет", "𝄞 a", "a\u0301", "你\u200b好"]
)
@pytest.mark.parametrize("language", ["en-US", "zh", "hi"])
def test_odd_characters_stop_nothing(text: str, language: str) -> None:
    for unit in read(text, language=language):
        assert 0 <= unit.char < len(text)


@pytest.mark.parametrize(
    ("number", "following", "expected"),
    [
        ("0", "", "零"),
        ("7", "个", "七"),
        ("10", "点", "十"),
        ("15", "", "十五"),
        ("110", "", "一百一十"),
        ("101", "", "一百零一"),
        ("1000", "", "一千"),
        ("2024", "年", "二零二四"),
        ("2024", "个", "二千零二十四"),
        ("10005", "", "一万零五"),
        ("100,000", "", "十万"),
        ("100001000", "", "一亿零一千"),
        ("120,000,000", "人", "一亿二千万"),
        ("13800138000", "", "一百三十八亿零一十三万八千"),
        ("13812345678", "", "一三八一二三四五六七八"),
        ("007", "", "零零七"),
        ("3.14", "", "三点一四"),
        ("0.5%", "", "百分之零点五"),
        ("35％", "", "百分之三十五"),
        ("12345678901234567890", "", "一二三四五六七八九零一二三四五六七八九零"),
    ],
)
def test_numbers_in_chinese(number: str, following: str, expected: str) -> None:
    assert spoken(number, following) == expected


def unit(symbols: str, ipa: str = "") -> Unit:
    return Unit(symbols, ipa, 0, 0)


def test_a_phrase_too_long_is_split_after_a_mark_else_a_blank() -> None:
    word = [unit("a", "a")] * 4 + [unit(" ")]
    parts = list(split_units(word * 5, max_symbols=12))
    assert [len(part) for part in parts] == [10, 10, 5]
    marked = [unit("a", "a")] * 7 + [unit(",")] + word
    assert len(next(split_units(marked, max_symbols=12))) == 8
    assert [len(part) for part in split_units([unit("a", "a")] * 25, max_symbols=10)] == [10, 10, 5]
    assert [each for part in split_units(word * 5, max_symbols=12) for each in part] == word * 5
