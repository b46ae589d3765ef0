"""Reads one document in a worker process, see docs/sandbox.md."""

import encodings
import io
import json
import pkgutil
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

import docx
import pypdf

from memory.knowledge.reading import forms, splitting
from memory.knowledge.reading.blocks import UnreadableError
from services.runtime.sandbox.jobs import RefusedError
from services.runtime.sandbox.wire import Content
from text.cleaning import clean_line

UNREADABLE: Final = "UNREADABLE"
_SAMPLES: Final = {
    "a.txt": "Text.".encode("utf-16"),
    "a.md": b"# Heading\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n&auml; [link](http://a.example)\n",
    "a.html": b'<meta charset="shift_jis"><title>Title</title><p style="color: red">Text.',
}


def prepare() -> None:
    """Loads all that the libraries load at first use: a worker cannot read their files."""
    for package in (encodings, pypdf):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with suppress(ImportError):  # for other systems, or an extra that is not installed
                import_module(module.name)
    page, document = io.BytesIO(), io.BytesIO()
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(page)
    docx.Document().save(document)
    samples = {**_SAMPLES, "a.pdf": page.getvalue(), "a.docx": document.getvalue()}
    for name, content in samples.items():
        with suppress(UnreadableError):  # the last two have no text
            forms.read(name, content)


def perform(request: Mapping[str, Any], content: Content) -> tuple[Mapping[str, Any], Content]:
    """Reads a document.

    Args:
        request: `file_name`; `tokenizer_bytes`, the length of the encoder's tokenizer, or 0 to
            split passages by characters.
        content: The tokenizer as JSON, then the document.

    Returns:
        Nothing; title, type, number of pages and passages as JSON.

    Raises:
        RefusedError: The document cannot be read; the text states why.
    """
    size = int(request["tokenizer_bytes"])
    tokenizer = bytes(content[:size]).decode() if size else None
    try:
        answer = _read(request["file_name"], bytes(content[size:]), tokenizer)
    except UnreadableError as error:
        raise RefusedError(UNREADABLE, str(error)) from None
    except RecursionError:
        raise RefusedError(UNREADABLE, "it is nested too deeply") from None
    return {}, json.dumps(answer, ensure_ascii=False).encode()


def _read(name: str, content: bytes, tokenizer: str | None) -> dict[str, Any]:
    reading = forms.read(name, content)
    by = splitting.splitter(tokenizer)
    passages = splitting.cut(reading.blocks, by)
    return {
        "title": clean_line(reading.title),
        "media_type": forms.form_of(name).media_type,
        "page_count": reading.page_count,
        "passages": [[one.text, one.heading, one.page] for one in passages],
    }
