"""Words of a text: counted, cut to a limit, and split into the pieces that are streamed."""

from __future__ import annotations

import re
from typing import Final

from text.abbreviations import surely_ends_in_abbreviation
from text.scripts import UNSPACED

# Characters that modify the one before: combining marks, variation selectors.
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
    """Splits a text into the pieces that are streamed one by one.

    A piece is a word with its punctuation and the space after it, or a Chinese character with the
    punctuation after it. A piece never splits a character or separates a letter from its accent.
    The concatenation of the pieces is the text.
    """
    return _PIECE.findall(text)


def count_words(text: str) -> int:
    """Counts the words of a text (in Chinese its characters), ignoring punctuation."""
    return sum(1 for piece in pieces(text) if any(letter.isalnum() for letter in piece))


def sentences(text: str) -> list[str]:
    """Splits a text into sentences, each with the space after it; decimals are not split."""
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
    """Cuts a text to a limit, after a sentence if one fits, otherwise after a word.

    Args:
        text: The text.
        max_words: The maximum number of words (Chinese: characters), at least 1.

    Returns:
        The remaining text, and whether anything was cut.
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
