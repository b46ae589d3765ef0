"""Reads a phrase: each script by the reader of its language, whatever voice speaks it."""

from __future__ import annotations

import re
from typing import Final

from services.tts.engines.kokoro import espeak_phonemes, mandarin, mandarin_numbers
from services.tts.neural.marks import punctuated
from services.tts.neural.units import Unit, Word
from services.tts.text_spans import has_speech
from text.scripts import HAN

CHINESE: Final = "zh"
_LANGUAGE_OF_LATIN_IN_CHINESE: Final = "en-US"
_NUMBER: Final = mandarin_numbers.NUMBER
# In a Chinese sentence a number is Chinese unless it belongs to a Latin word, as in MP3.
_IN_CHINESE: Final = re.compile(rf"(?:[{HAN}]|(?<![A-Za-z\d.])(?P<number>{_NUMBER})(?![A-Za-z\d]))")
_IN_OTHERS: Final = re.compile(
    rf"(?:[{HAN}]|(?P<number>(?<=[{HAN}]){_NUMBER}|(?<![\d.,]){_NUMBER}(?=[{HAN}])))"
)


def read(phrase: str, *, language: str) -> list[Unit]:
    """Returns what is spoken for a phrase.

    Args:
        phrase: Without control characters.
        language: Of the voice: "zh", or one of `espeak_phonemes.LANGUAGES`.
    """
    is_chinese = language == CHINESE
    latin = _LANGUAGE_OF_LATIN_IN_CHINESE if is_chinese else language
    words: list[Word] = []
    pattern = _IN_CHINESE if is_chinese else _IN_OTHERS
    characters, chars = "", list[int]()
    end = 0
    for match in [*pattern.finditer(phrase), None]:
        start = match.start() if match else len(phrase)
        if start > end:
            words += mandarin.words_of(characters, chars=chars)
            characters, chars = "", []
            words += _others(phrase[end:start], language=latin, start_char=end)
        if match:
            end = match.end()
            spoken = match.group()
            if match["number"]:
                spoken = mandarin_numbers.spoken(match["number"], phrase[end : end + 1])
            characters += spoken
            chars += [start] * len(spoken)
    words += mandarin.words_of(characters, chars=chars)
    return punctuated(phrase, words)


def _others(text: str, *, language: str, start_char: int) -> list[Word]:
    if not has_speech(text):
        return []
    return espeak_phonemes.words_of(text, language=language, start_char=start_char)
