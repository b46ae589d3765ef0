"""Scripts by character and by text."""

from __future__ import annotations

import re
import sys

import pytest
import regex

from text.scripts import (
    CJK_PUNCTUATION,
    HANGUL,
    IDEOGRAPHIC,
    LATIN,
    SCRIPTS,
    Script,
    is_ideographic,
    script_of,
)

ALL = "".join(map(chr, (*range(0xD800), *range(0xE000, sys.maxunicode + 1))))
UNICODE_NAMES = {"Kana": ("Hiragana", "Katakana"), "Han": ("Han", "Bopomofo")}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_the_characters_are_those_of_unicode(script: Script) -> None:
    names = UNICODE_NAMES.get(script.name, (script.name,))
    named = "".join(rf"\p{{Script={name}}}" for name in names)
    inside = "".join(re.findall(f"[{script.characters}]", ALL))
    outside = re.sub(f"[{script.characters}]", "", ALL)

    shared = r"\p{Script=Common}\p{Script=Inherited}\p{Cn}"
    assert not regex.findall(rf"[^{named}{shared}]", inside)
    # The letters of phoneticians and of old manuscripts are left out.
    missing = regex.findall(rf"[[{named}]&&[\p{{L}}--\p{{Lm}}]]", outside, regex.V1)
    assert not [letter for letter in missing if letter < "\u1d00" or not script.spaced]


def test_punctuation_is_of_no_script() -> None:
    marks = "".join(re.findall(f"[{CJK_PUNCTUATION}]", ALL))

    assert set("，。！？：；、「」『』《》【】（）　～") <= set(marks)
    assert not re.findall(f"[{IDEOGRAPHIC}{HANGUL}]", marks)


@pytest.mark.parametrize("character", "你々〇ぁアーﾊㄅ𠮷")
def test_ideographic(character: str) -> None:
    assert is_ideographic(character)


@pytest.mark.parametrize("character", "aé1 。，가ก🙂…")
def test_not_ideographic(character: str) -> None:
    assert not is_ideographic(character)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Who are you?", "Latin"),
        ("Bạn là ai thế?", "Latin"),
        ("你是谁？", "Han"),
        ("什么是 gRPC？", "Han"),
        ("用Python写一个quicksort", "Han"),
        ("Say 你好", "Han"),
        ("What does 你好 mean in English?", "Latin"),
        ("日本語は難しいですか", "Kana"),
        ("東京都庁へ行く", "Kana"),
        ("안녕하세요", "Hangul"),
        ("Привет, как дела?", "Cyrillic"),
        ("Γεια σου", "Greek"),
        ("สวัสดีครับ", "Thai"),
    ],
)
def test_most_words_decide(text: str, name: str) -> None:
    script = script_of(text)

    assert script is not None
    assert script.name == name


@pytest.mark.parametrize("text", ["", "12345", "🙂", "?!", "ꦲ"])
def test_without_letters_of_a_known_script_there_is_none(text: str) -> None:
    assert script_of(text) is None


def test_no_letter_is_in_two_scripts() -> None:
    seen: dict[str, str] = {}
    for script in SCRIPTS:
        for letter in re.findall(f"[{script.characters}]", ALL):
            assert seen.setdefault(letter, script.name) == script.name


def test_each_script_but_latin_decides_a_language() -> None:
    assert [script for script in SCRIPTS if not script.languages] == [LATIN]
