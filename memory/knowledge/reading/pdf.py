"""Reads PDF: the text of each page, under its heading in the outline, if there is one."""

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pypdf import PdfReader
from pypdf.errors import DependencyError, PyPdfError

from memory.knowledge.reading.blocks import (
    MAX_PAGES,
    Block,
    Outline,
    Reading,
    UnreadableError,
    bounded,
)
from text.scripts import CJK_PUNCTUATION, IDEOGRAPHIC

_MAX_OUTLINE_DEPTH: Final = 6
_MAX_OUTLINE_ENTRIES: Final = 5_000
_HYPHENATED: Final = re.compile(r"(?<=[a-zäöüß])-\n(?=[a-zäöüß])")
_CJK: Final = IDEOGRAPHIC + CJK_PUNCTUATION
_WITHIN_CHINESE: Final = re.compile(f"(?<=[{_CJK}])\n(?=[{_CJK}])")
_WITHIN_PARAGRAPH: Final = re.compile(r"(?<!\n)\n(?!\n)")
_SPACES: Final = re.compile(r"[ \t]+")


def read(content: bytes) -> Reading:
    """Reads a PDF.

    Raises:
        UnreadableError: It is damaged, encrypted, too long, or has no text.
    """
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("it is encrypted: save a copy without a password")
        page_count = len(reader.pages)
        if page_count > MAX_PAGES:
            raise UnreadableError(
                f"it must have at most {MAX_PAGES} pages, got {page_count}: split it"
            )
        blocks = bounded(_blocks(reader))
        title = _title(reader)
    except UnreadableError:
        raise
    except DependencyError as error:
        raise UnreadableError(f"it is encrypted in a way that cannot be read: {error}") from error
    # For a damaged file the library also raises other exceptions than its own.
    except (
        PyPdfError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise UnreadableError(f"it is a damaged PDF ({type(error).__name__}: {error})") from error
    if page_count and not blocks:
        raise UnreadableError("its pages have no text, like a scan: run OCR on it first")
    return Reading(title=title, blocks=blocks, page_count=page_count)


def _title(reader: PdfReader) -> str:
    try:
        title = reader.metadata.title if reader.metadata else None
    except (PyPdfError, AttributeError, LookupError, TypeError, ValueError):
        return ""
    return " ".join((title or "").split())


def _blocks(reader: PdfReader) -> Iterator[Block]:
    entries = _outline(reader)
    outline = Outline()
    for number, page in enumerate(reader.pages, 1):
        for level, heading in entries.get(number, ()):
            outline.enter(level, heading)
        for paragraph in _paragraphs(page.extract_text()):
            yield Block(paragraph, outline.headings, number)


def _paragraphs(text: str) -> list[str]:
    text = _SPACES.sub(" ", text.replace("\0", "").replace("\r", "")).replace(" \n", "\n")
    text = _WITHIN_CHINESE.sub("", _HYPHENATED.sub("", text))
    return [_WITHIN_PARAGRAPH.sub(" ", part).strip() for part in re.split(r"\n{2,}", text)]


def _outline(reader: PdfReader) -> dict[int, list[tuple[int, str]]]:
    """Returns the headings that begin on each page, with levels; none if the outline is damaged."""
    found: dict[int, list[tuple[int, str]]] = {}
    try:
        for level, entry in _flat(reader.outline, 1):
            page = reader.get_destination_page_number(entry)
            if page is not None and page >= 0:
                found.setdefault(page + 1, []).append((level, str(entry.title)))
    except (PyPdfError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return {}
    return found


def _flat(entries: Sequence[Any], level: int) -> list[tuple[int, Any]]:
    flat: list[tuple[int, Any]] = []
    for entry in entries:
        if isinstance(entry, list):
            if level < _MAX_OUTLINE_DEPTH:
                flat += _flat(entry, level + 1)
        else:
            flat.append((level, entry))
        if len(flat) > _MAX_OUTLINE_ENTRIES:
            break
    return flat
