"""Joins what is left of a text when its markup is gone: blanks, ends of lines, stops."""

from __future__ import annotations

import re
from typing import Final

from text.scripts import CJK_PUNCTUATION, IDEOGRAPHIC

_ENDS: Final = ".!?:;,。！？：；，、…"
_CLOSERS: Final = "\"')]}”’」』）】》*_"
_PUNCTUATION: Final = ",.!?;:，。！？；：、"
_CJK: Final = re.compile(f"[{IDEOGRAPHIC}{CJK_PUNCTUATION}]")
_KEPT: Final = "\u200c\u200d"  # joiners, of which scripts and emoji are made


class Spacing:
    """Writes text with single blanks and without line ends.

    Args:
        is_chinese: Whether the text is Chinese: then stops are too, also after a number.

    Attributes:
        last: The last visible character.
        space: Whether white space follows it.
        newlines: How many lines ended since.
    """

    def __init__(self, *, is_chinese: bool) -> None:
        self._is_chinese = is_chinese
        self.last = ""
        self.space = False
        self.newlines = 0
        self._gone = False

    def write(self, text: str) -> str:
        """Returns a text as it follows what was written before."""
        return "".join(self._write(char) for char in text)

    def leave_out(self) -> None:
        """Takes note that something was left out here, perhaps with the blank before it."""
        self._gone = True

    def end_line(self) -> None:
        """Ends a line."""
        self.newlines += 1 if self.last else 0

    def stop(self) -> str:
        """Ends a sentence, unless a mark has ended it."""
        if not self.last or self.last in _ENDS:
            return ""
        self.last = "。" if self.ends_chinese else "."
        return self.last

    def comma(self) -> str:
        """Separates two parts of a sentence, unless a mark has."""
        if not self.last or self.last in _ENDS:
            return ""
        self.last = "，" if self.ends_chinese else ","
        return self.last

    @property
    def ends_chinese(self) -> bool:
        """Whether marks of Chinese follow what was written."""
        return self._is_chinese or _CJK.match(self.last) is not None

    def _write(self, char: str) -> str:
        if char.isspace():
            self.space = True
            return ""
        if not char.isprintable() and char not in _KEPT:
            return ""
        gap = self._gap(char)
        self.last, self.newlines, self.space, self._gone = char, 0, False, False
        return gap + char

    def _gap(self, char: str) -> str:
        if not self.last or not (self.space or self.newlines):
            return ""
        if _CJK.match(self.last) and _CJK.match(char) and (self.newlines or not self.space):
            return ""
        if self._gone and char in _PUNCTUATION and not self.newlines:
            return ""
        return " "
