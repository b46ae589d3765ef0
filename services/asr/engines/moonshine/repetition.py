"""Removes phrases that a decoder has written again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from text.normal import normal

# People say "no, no, no", but not a whole clause twice with the same words and without a pause.
_LONG_PHRASE: Final = 4
_MOST_REPEATS: Final = 4


def without_repetition(words: Sequence[str]) -> list[int]:
    """Returns the indexes of words in which no phrase follows itself more often than people say it.

    A phrase of four words or more is kept once, a shorter one at most four times.
    """
    keys = [normal(word) for word in words]
    kept: list[int] = []
    position = 0
    while position < len(words):
        length, repeats = _loop_at(keys, position)
        allowed = 1 if length >= _LONG_PHRASE else _MOST_REPEATS
        kept += range(position, position + length * min(repeats, allowed))
        position += length * repeats
    return kept


def _loop_at(keys: Sequence[str], start: int) -> tuple[int, int]:
    """Returns the length of a phrase that is repeated too often from `start` on, and how often.

    Without one, that is the one word, once.
    """
    for length in range(1, (len(keys) - start) // 2 + 1):
        repeats = _repeats(keys, start, length)
        if repeats > (1 if length >= _LONG_PHRASE else _MOST_REPEATS):
            return length, repeats
    return 1, 1


def _repeats(keys: Sequence[str], start: int, length: int) -> int:
    phrase = keys[start : start + length]
    count = 1
    while keys[start + count * length : start + (count + 1) * length] == phrase:
        count += 1
    return count
