"""Markdown as language models write it, read by markdown-it.

CommonMark with tables and strikethrough, and with these differences, because models mix it with
formulas, code and Chinese: a marker of emphasis inside a word is no markup (`2*3*4`), next to
Chinese it is; indented lines are no code; formulas of LaTeX are known; and a tag of HTML counts
only if HTML has it (`List<int>` is text).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token

from services.llm.speech.html_names import BREAKS, NAMES
from services.llm.speech.stage_directions import is_stage_direction, without_stage_directions
from text.scripts import is_ideographic

_TAG_NAME: Final = re.compile(r"</?([A-Za-z][A-Za-z0-9-]*)")
_CITATION: Final = re.compile(
    r"(?:(?<=\s)|(?<=^)|(?<=[.!?,;:。！？，；：])|(?<=[\u4e00-\u9fff])|(?<=\]))"
    r"\[\d{1,3}(?:[,\- –]+\d{1,3})*\](?![(\[\w])|\[\^[^\]\s]{1,40}\]"
)
_MAX_FORMULA_CHARS: Final = 300
_CLOSING: Final = ")]},.;:!?，。！？；：、」』”）】》"


class Kind(enum.Enum):
    """What a piece of a text is."""

    TEXT = enum.auto()
    """Text that a marker in it may still change, until more of it is known."""
    FIXED = enum.auto()
    """Text that is read as it is."""
    GONE = enum.auto()
    """The place of something that is left out with its content."""
    BREAK = enum.auto()
    """The end of a line within a paragraph, or a tag that ends one."""
    IMAGE = enum.auto()
    """A picture; the text describes it, but is not read."""


@dataclass(frozen=True)
class Piece:
    """A part of a line of text."""

    text: str
    kind: Kind


def is_word(character: str) -> bool:
    """Whether a character belongs to a word of a script with spaces."""
    return character.isalnum() and not is_ideographic(character)


def can_open(before: str, after: str) -> bool:
    """Whether a marker of emphasis may begin one, by the characters around it."""
    return bool(after) and not after.isspace() and not is_word(before) and after not in _CLOSING


def _can_close(before: str, after: str, *, count: int) -> bool:
    if not before or before.isspace():
        return False
    return not is_word(after) or (count > 1 and after.isalpha())


def _emphasis(state: StateInline, silent: bool) -> bool:
    marker = state.src[state.pos]
    if silent or marker not in "*_":
        return False
    count = state.scanDelims(state.pos, True).length
    before = state.src[state.pos - 1] if state.pos else ""
    end = state.pos + count
    after = state.src[end] if end < state.posMax else ""
    opens, closes = can_open(before, after), _can_close(before, after, count=count)
    for _ in range(count):
        state.push("text", "", 0).content = marker
        state.delimiters.append(
            Delimiter(ord(marker), count, len(state.tokens) - 1, -1, opens, closes)
        )
    state.pos = end
    return True


_FORMULAS: Final = (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$"))


def _formula(state: StateInline, silent: bool) -> bool:
    r"""Reads a formula between the marks of LaTeX; `$` before a digit is money, `\\` a path."""
    if state.src.startswith("\\\\", state.pos):
        return _literally(state, "\\\\", silent)
    for start, end in _FORMULAS:
        if not state.src.startswith(start, state.pos):
            continue
        at = state.pos + len(start)
        close = state.src.find(end, at, at + _MAX_FORMULA_CHARS)
        content = state.src[at:close] if close > at else ""
        if start == "$" and not _is_formula(content, state.src[close + 1 : close + 2]):
            return False
        if not content and start != "$$":
            return _literally(state, start, silent)
        if not content:
            return False
        if not silent:
            state.push("formula", "", 0).content = content
        state.pos = close + len(end)
        return True
    return False


def _is_formula(content: str, after: str) -> bool:
    spaced = content[:1].isspace() or content[-1:].isspace()
    return bool(content) and not spaced and not content[0].isdigit() and not after.isdigit()


def _literally(state: StateInline, text: str, silent: bool) -> bool:
    if not silent:
        state.push("text", "", 0).content = text
    state.pos += len(text)
    return True


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.disable(["code", "html_block", "text_join"])
    parser.inline.ruler.at("emphasis", _emphasis)
    parser.inline.ruler.before("escape", "formula", _formula)
    parser.inline.add_terminator_char("$")
    return parser


PARSER: Final = _parser()


def pieces_of(text: str) -> list[Piece]:
    """Reads the content of a paragraph, or of a part of one."""
    tokens = PARSER.parseInline(text)
    return list(_merged(_pieces(tokens[0].children or []))) if tokens else []


def _pieces(tokens: Sequence[Token]) -> Iterator[Piece]:
    skipped_until = -1
    for index, token in enumerate(tokens):
        if index <= skipped_until:
            continue
        if token.type == "em_open":
            close = _close_of(tokens, index)
            inner = "".join(each.content for each in tokens[index + 1 : close])
            if is_stage_direction(inner):
                skipped_until = close
                yield Piece("", Kind.GONE)
        elif token.type == "image":
            yield Piece(token.content, Kind.IMAGE)
        elif token.type == "html_inline":
            yield _tag(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            yield Piece("\n", Kind.BREAK)
        elif token.type == "text":
            yield Piece(token.content, Kind.TEXT)
        elif token.type == "formula" or token.content:
            yield Piece(token.content, Kind.FIXED)


def _close_of(tokens: Sequence[Token], opened: int) -> int:
    level = 0
    for index in range(opened, len(tokens)):
        level += tokens[index].nesting if tokens[index].type in ("em_open", "em_close") else 0
        if level == 0:
            return index
    return len(tokens) - 1


def _tag(tag: str) -> Piece:
    name = _TAG_NAME.match(tag)
    if name is None:  # a comment, a declaration
        return Piece("", Kind.GONE)
    lowered = name[1].lower()
    if lowered not in NAMES:
        return Piece(tag, Kind.FIXED)
    return Piece("\n", Kind.BREAK) if lowered in BREAKS else Piece("", Kind.GONE)


def _merged(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Joins neighbouring texts, and takes citations and stage directions out of them."""
    text = ""
    for piece in pieces:
        if piece.kind is Kind.TEXT:
            text += piece.text
            continue
        yield from _without_asides(text)
        text = ""
        yield piece
    yield from _without_asides(text)


def _without_asides(text: str) -> Iterator[Piece]:
    end = 0
    for match in [*_CITATION.finditer(text)]:
        yield from without_stage_directions_pieces(text[end : match.start()])
        yield Piece("", Kind.GONE)
        end = match.end()
    yield from without_stage_directions_pieces(text[end:])


def without_stage_directions_pieces(text: str) -> Iterator[Piece]:
    """Yields a text as pieces, without the stage directions in brackets."""
    for index, part in enumerate(without_stage_directions(text)):
        if index:
            yield Piece("", Kind.GONE)
        if part:
            yield Piece(part, Kind.TEXT)
