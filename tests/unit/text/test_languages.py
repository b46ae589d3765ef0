"""The language of a text, as far as its script decides it, and language tags."""

from __future__ import annotations

import pytest

from text.languages import (
    has_chinese,
    is_chinese,
    is_chinese_tag,
    language_of,
    primary,
    script_language,
    spoken,
    written_in,
)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("你好吗 OK", "zh"),
        ("これは本です", "ja"),
        ("東京の天気を教えて", "ja"),
        ("안녕하세요", "ko"),
        ("Привет, как дела сегодня?", "ru"),
        ("Γεια σου", "el"),
        ("שלום", "he"),
        ("مرحبا", "ar"),
        ("สวัสดี", "th"),
        ("नमस्ते", "hi"),
        ("வணக்கம்", "ta"),
        ("Who are you?", ""),
        ("123", ""),
    ],
)
def test_the_script_decides_some_languages(text: str, language: str) -> None:
    assert script_language(text) == language


@pytest.mark.parametrize("text", ["你是谁？", "我用Python写。", "在", "𠮷野家"])
def test_chinese(text: str) -> None:
    assert is_chinese(text)


@pytest.mark.parametrize(
    "text", ["東京に住んでいます", "私は医者です", "한국어", "What is 茶?", "", "123", "。"]
)
def test_not_chinese(text: str) -> None:
    assert not is_chinese(text)


@pytest.mark.parametrize("text", ["你是谁？", "My name is 王小明.", "我叫Olga Petrova Smith."])
def test_chinese_words_in_it(text: str) -> None:
    assert has_chinese(text)


@pytest.mark.parametrize("text", ["東京に住んでいます", "大韓民國 대한민국", "Who?", ""])
def test_no_chinese_words_in_it(text: str) -> None:
    assert not has_chinese(text)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Who are you?", "en"),
        ("你是谁？", "zh-CN"),
        ("什么是 gRPC？", "zh-CN"),
        ("What does 你好 mean in English?", "en"),
        ("これは何ですか", "ja"),
        ("Кто ты?", "en"),
        ("12345", "en"),
        ("🙂", "en"),
    ],
)
def test_the_first_language_of_the_script_is_taken(text: str, language: str) -> None:
    assert language_of(text, ["en", "zh-CN", "ja"]) == language


def test_a_default_in_another_script_does_not_take_latin_text() -> None:
    assert language_of("Who are you?", ["zh", "en"]) == "en"
    assert language_of("Who are you?", ["zh"]) == "zh"
    assert language_of("123", ["zh", "en"]) == "zh"
    assert language_of("Bạn là ai?", ["zh", "vi"]) == "vi"


def test_han_alone_is_read_by_japanese_where_nobody_speaks_chinese() -> None:
    assert language_of("東京", ["en", "ja"]) == "ja"
    assert language_of("東京", ["ja", "zh"]) == "zh"


def test_of_languages_of_one_script_the_preferred_one_is_taken() -> None:
    assert written_in("Як справи?", ["uk", "ru"]) == "uk"
    assert written_in("你好", ["en", "yue"]) == "yue"
    assert written_in("Как дела?", ["en", "zh"]) is None


def test_a_region_is_no_other_language() -> None:
    assert spoken("en-GB", ["zh", "en"]) == "en"
    assert spoken("zh-Hans-CN", ["en", "zh"]) == "zh"
    assert spoken("ZH", ["en", "zh"]) == "zh"
    assert spoken("fr", ["en", "zh"]) is None


def test_tags() -> None:
    assert primary("zh-Hans-CN") == "zh"
    assert is_chinese_tag("zh-TW")
    assert is_chinese_tag("yue")
    assert not is_chinese_tag("ja")
    assert not is_chinese_tag("zhx")
