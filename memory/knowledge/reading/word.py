"""Reads DOCX, the format of Word."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Final

import docx
from docx.document import Document
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.exceptions import OpcError
from docx.oxml.ns import qn
from docx.table import Table
from docx.text.paragraph import Paragraph
from lxml import etree

from memory.knowledge.reading.blocks import (
    MAX_BLOCKS,
    Block,
    Outline,
    Reading,
    UnreadableError,
    bounded,
    too_many,
)

MAX_UNPACKED_BYTES: Final = 256 * 1024 * 1024
MAX_PARTS: Final = 5_000
MAX_RUNS: Final = 500_000
"""Stretches of text with the same look."""
_HEADING: Final = re.compile(r"heading (\d)", re.IGNORECASE)


def read(content: bytes) -> Reading:
    """Reads paragraphs and tables under their headings.

    Raises:
        UnreadableError: It is damaged, encrypted, or unpacks to more than is allowed.
    """
    _check_archive(content)
    try:
        document = docx.Document(io.BytesIO(content))
        _check_counts(document)
        blocks = bounded(_blocks(document))
        title = " ".join((document.core_properties.title or "").split())
    except UnreadableError:
        raise
    except (
        *(OpcError, OSError, zipfile.BadZipFile, zlib.error, etree.LxmlError, NotImplementedError),
        *(ArithmeticError, AttributeError, EOFError, LookupError, TypeError, ValueError),
    ) as error:
        raise UnreadableError(f"it is a damaged DOCX ({type(error).__name__}: {error})") from error
    return Reading(title=title, blocks=blocks)


def _check_archive(content: bytes) -> None:
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise UnreadableError(
            "it is encrypted, or from Word before 2007: save it as DOCX without a password"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, LookupError, NotImplementedError) as error:
        raise UnreadableError(f"it is a damaged DOCX ({error})") from error
    if len(parts) > MAX_PARTS:
        raise UnreadableError(f"it must have at most {MAX_PARTS} parts, got {len(parts)}")
    # The library stops unpacking at the size that the part declares.
    unpacked = sum(part.file_size for part in parts)
    if unpacked > MAX_UNPACKED_BYTES:
        raise UnreadableError(
            f"it must unpack to at most {MAX_UNPACKED_BYTES // 1024**2} MiB, "
            f"got {unpacked // 1024**2}"
        )


def _check_counts(document: Document) -> None:
    """Counts before the text is read: reading a paragraph takes a hundred times as long."""
    body = document.element.body
    paragraphs = sum(1 for _ in body.iter(qn("w:p")))
    # The library makes a cell for each column that a merged cell covers.
    for span in body.iter(qn("w:gridSpan"), qn("w:gridBefore"), qn("w:gridAfter")):
        paragraphs += int(span.get(qn("w:val"), 1))
    if paragraphs > MAX_BLOCKS:
        raise too_many("paragraphs and cells", MAX_BLOCKS)
    if sum(1 for _ in body.iter(qn("w:r"))) > MAX_RUNS:
        raise too_many("runs of text", MAX_RUNS)


def _blocks(document: Document) -> Iterator[Block]:
    # Without styles of its own, the library would read its template, which a worker cannot open.
    has_styles = any(one.reltype == RELATIONSHIP_TYPE.STYLES for one in document.part.rels.values())
    outline = Outline()
    for part in document.iter_inner_content():
        if isinstance(part, Table):
            yield Block(_rows(part), outline.headings)
        elif has_styles and (level := _level(part)):
            outline.enter(level, part.text)
        else:
            yield Block(part.text, outline.headings)


def _level(paragraph: Paragraph) -> int:
    """Returns the level of a heading; 0 for other paragraphs."""
    name = (paragraph.style.name if paragraph.style is not None else "") or ""
    found = _HEADING.fullmatch(name)
    return int(found.group(1)) if found else 1 if name == "Title" else 0


def _rows(table: Table) -> str:
    lines: list[str] = []
    for row in table.rows:
        cells: list[str] = []
        for cell in row.cells:
            text = " ".join(cell.text.split())
            # A merged cell occurs once per position that it covers.
            if not cells or cells[-1] != text:
                cells.append(text)
        lines.append(" | ".join(cells))
    return "\n".join(lines)
