"""Partial results that do not flicker."""

from __future__ import annotations

import re
from typing import Final

from text.normal import normal
from text.scripts import CJK_PUNCTUATION, UNSPACED

_WORD: Final = re.compile(f"[{UNSPACED}]|[^\\s{UNSPACED}{CJK_PUNCTUATION}]+")
_TRAILING: Final = ".,;:!?…-"


class StableText:
    """Publishes the words on which two results in a row agree.

    The last word of a result is held back: the person may still be speaking it, and recognisers put
    a full stop after it. What has been published stays until more words than that agree.

    The method is local agreement: Liu et al., 2020, "Low-Latency Sequence-to-Sequence Speech
    Recognition and Translation by Partial Hypothesis Selection".
    """

    def __init__(self) -> None:
        self._before: list[str] = []
        self._count = 0
        self._text = ""

    def take(self, text: str) -> str:
        """Takes the next result for a growing segment and returns the text to publish."""
        found = [match for match in _WORD.finditer(text) if normal(match[0])]
        words = [normal(match[0]) for match in found]
        agreed = min(_common(self._before, words), len(words) - 1)
        self._before = words
        if agreed > self._count:
            self._count = agreed
            self._text = text[: found[agreed - 1].end()].rstrip(_TRAILING)
        return self._text


def _common(one: list[str], other: list[str]) -> int:
    """Returns how many words two texts share from their beginning."""
    count = 0
    for first, second in zip(one, other, strict=False):
        if first != second:
            break
        count += 1
    return count
