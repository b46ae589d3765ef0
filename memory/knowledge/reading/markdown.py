"""Reads Markdown, without its markup."""

from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from memory.knowledge.reading.blocks import Block, Outline, Reading, bounded
from memory.knowledge.reading.plain import decoded


def read(content: bytes) -> Reading:
    """Reads Markdown: paragraphs, list items, tables and code under their headings."""
    tokens = MarkdownIt("commonmark").enable("table").parse(decoded(content))
    title = next(
        (
            _plain(tokens[at + 1])
            for at, token in enumerate(tokens)
            if token.type == "heading_open" and token.tag == "h1"
        ),
        "",
    )
    return Reading(title=title, blocks=bounded(_blocks(tokens)))


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
