"""Punctuation of a phrase in the symbols of the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from services.tts.neural.units import BLANK, Unit, Word
from text.abbreviations import surely_ends_in_abbreviation

_OPENERS: Final = "“("
# Marks of other scripts, and spellings of the same mark.
_SYMBOLS: Final = MappingProxyType(
    {
        "，": ",", "、": ",", "؛": ";", "；": ";", "：": ":", "。": ".", "｡": ".", "！": "!",
        "？": "?", "؟": "?", "،": ",", "।": ".", "–": "—", "―": "—", "«": "“", "»": "”",
        "《": "“", "》": "”", "〈": "“", "〉": "”", "「": "“", "」": "”", "『": "“", "』": "”",
        "„": "“", "（": "(", "）": ")", "【": "(", "】": ")", "[": "(", "]": ")",
    }
)  # fmt: skip
_MARK: Final = re.compile(
    # a full stop or a comma inside a number or a name is no pause
    r"\.{2,}|…+|[,;:.!?]+(?=[\s\"'”’)\]»]|$)"
    r"|(?<=\s)[-–—]+(?=\s)|[—―]+"
    r"|[，、；：。｡！？«»《》〈〉「」『』（）【】“”„؛؟،।()\[\]\"]"
)


def _found(phrase: str) -> list[tuple[int, str]]:
    """Returns the marks of a phrase: the index of each, and its symbol."""
    marks: list[tuple[int, str]] = []
    for match in _MARK.finditer(phrase):
        start, text = match.start(), match.group()
        word = phrase[: start + 1].rsplit(maxsplit=1)[-1]
        if text == "." and surely_ends_in_abbreviation(word):
            continue
        if text == '"':
            before = phrase[start - 1 : start]
            symbol = "“" if not before or before.isspace() or before in _OPENERS else "”"
        elif text.startswith("..") or text[0] == "…":
            symbol = "…"
        elif text[0] in "-–—―":
            symbol = "—"
        else:
            # of "?!" the first counts
            symbol = _SYMBOLS.get(text[0], text[0])
        marks.append((start, symbol))
    return marks


def punctuated(phrase: str, words: Sequence[Word]) -> list[Unit]:
    """Joins words by blanks and puts the marks of the phrase between them.

    Args:
        phrase: The phrase that the words come from.
        words: In spoken order; each has a sound.
    """
    marks = _found(phrase)
    units: list[Unit] = []
    taken = 0
    newest = 0
    for word in words:
        newest = max(newest, word.char)
        between: list[Unit] = []
        while taken < len(marks) and marks[taken][0] <= newest:
            between.append(Unit(marks[taken][1], "", 0, marks[taken][0]))
            taken += 1
        if units:
            units += [mark for mark in between if mark.symbols not in _OPENERS]
            units.append(Unit(BLANK, "", 0, newest))
        units += [mark for mark in between if mark.symbols in _OPENERS]
        units += word.units
    if units:
        rest = marks[taken:]
        units += [Unit(mark, "", 0, index) for index, mark in rest if mark not in _OPENERS]
    return units
