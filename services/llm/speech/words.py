"""Words of a text: counted, cut to a limit, and split into the pieces that are streamed."""

from __future__ import annotations

import re
from typing import Final

from text.abbreviations import surely_ends_in_abbreviation
from text.scripts import UNSPACED

# What belongs to the character before it: combining marks, variation selectors.
_MODIFIERS: Final = (
    r"[\u0300-\u036f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u3099\u309a\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_CLOSERS: Final = r"[，。！？；：、…—～”’」』）》,.!?;:)\]\"']"
_PIECE: Final = re.compile(
    rf"(?:[{UNSPACED}]{_MODIFIERS}*{_CLOSERS}*|[^\s{UNSPACED}]+)\s*|\s+",
)
_SENTENCE_END: Final = re.compile(
    r"[。！？…]+[”’」』）]*|[.!?]+[\"'”’)\]]*(?=\s+[^\sa-z]|\s*$)",
)


def pieces(text: str) -> list[str]:
    """Splits a text into what is streamed one by one.

    A piece is a word with the punctuation at it and the space after it, or a Chinese character
    with the punctuation after it; it is never half a character, nor a letter without its accent.
    The pieces together are the text.
    """
    return _PIECE.findall(text)


def count_words(text: str) -> int:
    """Words of a text, for Chinese its characters; punctuation alone does not count."""
    return sum(1 for piece in pieces(text) if any(letter.isalnum() for letter in piece))


def sentences(text: str) -> list[str]:
    """Splits a text after its sentences, with the space after them; decimals stay whole."""
    found: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        last = text[start : end.end()].rsplit(None, 1)[-1]
        if surely_ends_in_abbreviation(last) and end.end() < len(text.rstrip()):
            continue
        stop = end.end()
        while stop < len(text) and text[stop].isspace():
            stop += 1
        found.append(text[start:stop])
        start = stop
    if text[start:].strip():
        found.append(text[start:])
    return found


def shorten(text: str, max_words: int) -> tuple[str, bool]:
    """Cuts a text to a limit, after a sentence where one fits, else after a word.

    Args:
        text: The text.
        max_words: The most words (Chinese: characters), at least 1.

    Returns:
        The text that is kept, and whether anything was cut.
    """
    if count_words(text) <= max_words:
        return text, False
    kept, room = "", max_words
    for sentence in sentences(text):
        room -= count_words(sentence)
        if room < 0:
            break
        kept += sentence
    if kept.strip():
        return kept.rstrip(), True
    room = max_words
    for piece in pieces(text):
        room -= count_words(piece)
        if room < 0:
            break
        kept += piece
    return kept.rstrip(), True
