"""What is spoken, in the symbols of the model: sounds, blanks between words, and marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

BLANK = " "


@dataclass(frozen=True)
class Unit:
    """One or more symbols of the model that stand for one sound, for a blank or for a mark.

    Attributes:
        symbols: In the model's vocabulary.
        ipa: The sound in IPA; empty: a blank or a mark.
        stress: 0 none, 1 secondary, 2 primary.
        char: The character of the phrase that it comes from.
    """

    symbols: str
    ipa: str
    stress: int
    char: int

    @property
    def is_mark(self) -> bool:
        """Whether it is punctuation, which the model speaks as a pause."""
        return not self.ipa and self.symbols != BLANK


@dataclass
class Word:
    """The sounds of a word, which begins at a character of the phrase."""

    char: int
    units: list[Unit] = field(default_factory=list)


def split_units(units: Sequence[Unit], *, max_symbols: int) -> Iterator[Sequence[Unit]]:
    """Splits a phrase that is too long for the model: after a mark, a blank, or anywhere.

    Args:
        units: The phrase.
        max_symbols: The most symbols of a part, at least the most of one unit.
    """
    start = 0
    while start < len(units):
        end, symbols = start, 0
        while end < len(units) and symbols + len(units[end].symbols) <= max_symbols:
            symbols += len(units[end].symbols)
            end += 1
        if end < len(units):
            end = _break(units, start, end)
        yield units[start:end]
        start = end


def _break(units: Sequence[Unit], start: int, end: int) -> int:
    """Returns the best place to split in the second half of a stretch."""
    half = range(end - 1, (start + end) // 2, -1)
    marks = (index + 1 for index in half if units[index].is_mark)
    blanks = (index + 1 for index in half if units[index].symbols == BLANK)
    return next(marks, next(blanks, end))
