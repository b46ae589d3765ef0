"""Where a passage of a document stands, and how that travels with its text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SEPARATOR: Final = " · "
_PAGE: Final = re.compile(r"page (\d{1,6})")
_HEAD: Final = re.compile(r"\[([^\[\]\n]{1,1000})\]\n(?=.*\S)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Citation:
    """Where a passage stands."""

    title: str
    """By what name the document is cited."""
    page: int = 0
    """From 1; 0: it has none."""
    heading: str = ""
    """The headings above the passage; may be empty."""

    @property
    def label(self) -> str:
        """All of it in a line: "Handbook · page 3 · Holidays"."""
        parts = (self.title, f"page {self.page}" if self.page else "", self.heading)
        return _SEPARATOR.join(part for part in parts if part)


def cited_passage(text: str) -> tuple[Citation | None, str]:
    """Reads a passage as it comes in `anima.llm.v1.Memory`: its citation, and the text alone.

    The message has no field for the citation, so it stands in brackets in a line before the text.
    What has no such line is no passage of a document.
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
