"""Tables in an answer: each row is read as a sentence of its cells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from services.llm.speech.markdown import PARSER

_DELIMITERS: Final = re.compile(r"[|:\- \t]*")
MAX_HEAD_CHARS: Final = 80
"""A line with more text before its first bar is no row of a table."""


def may_be_delimiters(line: str) -> bool:
    """Whether a line may be the second one of a table, such as `|---|:-:|`, or its beginning."""
    return _DELIMITERS.fullmatch(line) is not None


class Table:
    """A table whose rows are still arriving.

    Args:
        head: Its first line.
        delimiters: Its second line.
    """

    def __init__(self, head: str, delimiters: str) -> None:
        self._start = f"{head}\n{delimiters}"

    @classmethod
    def begin(cls, head: str, delimiters: str) -> Table | None:
        """Returns the table that two lines begin; None: they begin none."""
        tokens = PARSER.parse(f"{head}\n{delimiters}")
        return cls(head, delimiters) if any(t.type == "table_open" for t in tokens) else None

    def head(self) -> Sequence[str]:
        """Returns the cells of the first line."""
        return self._cells(self._start, "th_open")

    def row(self, line: str) -> Sequence[str]:
        """Returns the cells of a line."""
        return self._cells(f"{self._start}\n{line}", "td_open")

    def _cells(self, text: str, kind: str) -> Sequence[str]:
        tokens = PARSER.parse(text)
        return [
            tokens[index + 1].content for index, token in enumerate(tokens) if token.type == kind
        ]
