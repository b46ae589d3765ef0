"""The location of a passage in a document, and its encoding in the text of the passage."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SEPARATOR: Final = " · "
_PAGE: Final = re.compile(r"page (\d{1,6})")
_HEAD: Final = re.compile(r"\[([^\[\]\n]{1,1000})\]\n(?=.*\S)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Citation:
    """The location of a passage."""

    title: str
    """The title used to cite the document."""
    page: int = 0
    """From 1; 0: no page."""
    heading: str = ""
    """The headings above the passage; may be empty."""

    @property
    def label(self) -> str:
        """The whole citation in one line: "Handbook · page 3 · Holidays"."""
        parts = (self.title, f"page {self.page}" if self.page else "", self.heading)
        return _SEPARATOR.join(part for part in parts if part)


def cited_passage(text: str) -> tuple[Citation | None, str]:
    """Splits a passage in `anima.llm.v1.Memory` into its citation and its text.

    The message has no field for the citation, so it is in brackets in a line before the text. A
    text without such a line is not a passage of a document.
    """
    head = _HEAD.match(text)
    if head is None:
        return None, text
    title, *rest = head.group(1).split(_SEPARATOR)
    page = _PAGE.fullmatch(rest[0]) if rest else None
    if page is not None:
        rest = rest[1:]
    citation = Citation(
        title=title, page=int(page.group(1)) if page else 0, heading=_SEPARATOR.join(rest)
    )
    return citation, text[head.end() :].strip()
