"""Reads Markdown, without its markup."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from memory.knowledge.reading.blocks import (
    MAX_CHARS,
    Block,
    Outline,
    Reading,
    UnreadableError,
    bounded,
    too_many,
)
from memory.knowledge.reading.plain import decoded

MAX_LINES: Final = 100_000
MAX_CELLS: Final = 100_000
"""Of tables."""
MAX_MARKUP_WORK: Final = 400_000_000
"""The sum over all paragraphs of characters times marks, to which the parser's time is
proportional at worst; about 5 s of CPU time. Common documents have less than a hundredth."""
_MARKS: Final = re.compile(r"[\[\]*_`<!&\\]")
_BETWEEN_PARAGRAPHS: Final = re.compile(r"\n[ \t]*\n")


def read(content: bytes) -> Reading:
    """Reads Markdown: paragraphs, list items, tables and code under their headings.

    Raises:
        UnreadableError: It has more text or markup than a document may have.
    """
    text = decoded(content)
    _check_work(text)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    title = next(
        (
            _plain(tokens[at + 1])
            for at, token in enumerate(tokens)
            if token.type == "heading_open" and token.tag == "h1"
        ),
        "",
    )
    return Reading(title=title, blocks=bounded(_blocks(tokens)))


def _check_work(text: str) -> None:
    if len(text) > MAX_CHARS:
        raise too_many("characters", MAX_CHARS)
    if text.count("\n") >= MAX_LINES:
        raise too_many("lines", MAX_LINES)
    if text.count("|") > MAX_CELLS:
        raise too_many("cells of tables", MAX_CELLS)
    work = sum(
        len(paragraph) * sum(1 for _ in _MARKS.finditer(paragraph))
        for paragraph in _BETWEEN_PARAGRAPHS.split(text)
    )
    if work > MAX_MARKUP_WORK:
        raise UnreadableError(
            "its paragraphs have too many of the marks [ ] * _ ` < ! & \\: "
            "put empty lines between paragraphs, or add it as .txt"
        )


def _blocks(tokens: Sequence[Token]) -> Iterator[Block]:
    outline = Outline()
    rows: list[list[str]] = []
    before: Token | None = None
    for token in tokens:
        if token.type == "inline":
            opening = before.type if before is not None else ""
            if before is not None and opening == "heading_open":
                outline.enter(int(before.tag[1]), _plain(token))
            elif opening in ("th_open", "td_open"):
                rows[-1].append(_plain(token))
            else:
                yield Block(_plain(token), outline.headings)
        elif token.type in ("fence", "code_block"):
            yield Block(token.content, outline.headings)
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "table_close":
            yield Block("\n".join(" | ".join(row) for row in rows), outline.headings)
            rows = []
        before = token


def _plain(inline: Token) -> str:
    parts: list[str] = []
    for child in inline.children or ():
        if child.type in ("text", "code_inline"):
            parts.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return "".join(parts).strip()
