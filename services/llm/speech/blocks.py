"""How a line begins: as text, an item, a heading, a fence or a rule; the parser decides."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markdown_it.token import Token

from services.llm.speech.markdown import PARSER

_BULLETS: Final = "•·◦▪‣–"
_OTHER_BULLET: Final = re.compile(rf"^([ \t>]*)[{_BULLETS}]([ \t]+)")
_OTHER_NUMBER: Final = re.compile(r"^([ \t>]*\d{1,2})、[ \t]*")
_NUMBER: Final = re.compile(r"[ \t>]*(\d{1,9}[.)])")
_TASK: Final = re.compile(r"\[[ xX]\][ \t]+")
_FOOTNOTE: Final = re.compile(r"[ \t]*\[\^[^\]]{1,40}\]:")
_UNDECIDED: Final = re.compile(
    rf"[ \t>]*(?:(?:[-*+{_BULLETS}]|\d{{1,9}}[.)]|#{{1,6}})[ \t]+>*|\d{{1,2}}、[ \t]*)*"
    rf"(?:`{{0,2}}|~{{0,2}}|(?:```|~~~).*|#{{0,6}}|[-*_=: \t]*|[+{_BULLETS}]|\d{{1,9}}[.)、]?"
    r"|\[[^\]\n]{0,60}(?:\](?::.*)?)?|\|.*)[ \t]*"
)
_MAX_OPENING_CHARS: Final = 2_000


class Start(enum.Enum):
    """How a line begins."""

    TEXT = enum.auto()
    CONTINUED = enum.auto()
    """The paragraph of the line before goes on."""
    ITEM = enum.auto()
    """An item of a list, or a heading: its end is a stop."""
    FENCE = enum.auto()
    NOTE = enum.auto()
    """A footnote."""
    NOTHING = enum.auto()
    """A rule, an underline, the address of a link: nothing is said."""


@dataclass(frozen=True)
class Line:
    """A line without its markers.

    Attributes:
        start: How it begins.
        content: The text after the markers.
        number: The number of an item; 0: none.
    """

    start: Start
    content: str = ""
    number: int = 0


def is_decided(opening: str) -> bool:
    """Whether more characters cannot change how a line begins."""
    return len(opening) >= _MAX_OPENING_CHARS or _UNDECIDED.fullmatch(opening) is None


def read_line(opening: str, *, context: str, number: int) -> Line:
    """Reads the beginning of a line that is decided, or a whole line.

    Args:
        opening: The line so far, with at least one character after its markers.
        context: A line that stands for what is before, such as `x`; empty: a blank line.
        number: The number of the item before; 0: there is none.
    """
    if _FOOTNOTE.match(opening):
        return Line(Start.NOTE)
    opening = _OTHER_NUMBER.sub(r"\1. ", _OTHER_BULLET.sub(r"\1-\2", opening))
    if number:
        alone = _read(opening, context="", number=number)
        if alone.start is Start.ITEM:
            return alone
    return _read(opening, context=context, number=number)


def _read(opening: str, *, context: str, number: int) -> Line:
    tokens = PARSER.parse(f"{context}\n{opening}" if context else opening)
    at = 1 if context else 0
    items: list[Token] = []
    for index, token in enumerate(tokens):
        if token.map is None or not token.map[0] <= at < token.map[1]:
            continue
        if token.type == "list_item_open" and token.map[0] == at:
            items.append(token)
        if token.type == "fence" and token.map[0] == at:
            return Line(Start.FENCE)
        if token.type == "inline":
            return _text_line(token, opening, tokens[index - 1], items, at=at, number=number)
    if items:
        return Line(Start.ITEM, "", _number_of(items[0]))
    return Line(Start.NOTHING)


def _text_line(
    inline: Token, opening: str, parent: Token, items: Sequence[Token], *, at: int, number: int
) -> Line:
    content = inline.content.rpartition("\n")[2]
    if inline.map and inline.map[0] < at:
        return Line(Start.CONTINUED, content)
    if items:
        first = _number_of(items[0])
        if first in (0, 1, number + 1):
            return Line(Start.ITEM, _TASK.sub("", content, count=1), first)
        marker = _NUMBER.match(opening)
        return Line(Start.TEXT, f"{marker[1]} {content}" if marker else content)
    if parent.type == "heading_open":
        return Line(Start.ITEM, content)
    return Line(Start.TEXT, content)


def _number_of(item: Token) -> int:
    return int(item.info) if item.info.isdigit() else 0
