"""The supported document formats."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePath
from typing import Final, cast

from memory.knowledge.reading.blocks import Reading, UnreadableError

_PDF_MARK: Final = b"%PDF-"
_MARK_WITHIN_BYTES: Final = 1_024


@dataclass(frozen=True)
class Form:
    """A format and the module whose function `read` parses it."""

    media_type: str
    module: str


_TEXT: Final = Form("text/plain", "plain")
_MARKDOWN: Final = Form("text/markdown", "markdown")
_HTML: Final = Form("text/html", "page")
_PDF: Final = Form("application/pdf", "pdf")
_WORD: Final = Form(
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "word"
)
FORMS: Final = {
    ".txt": _TEXT,
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".html": _HTML,
    ".htm": _HTML,
    ".pdf": _PDF,
    ".docx": _WORD,
}
"""By file name extension, in lower case."""


def form_of(file_name: str) -> Form:
    """Returns the format for a file name.

    Raises:
        UnreadableError: The extension belongs to no supported format.
    """
    ending = PurePath(file_name).suffix.lower()
    if ending not in FORMS:
        raise UnreadableError(
            f"its name ends in {ending or 'nothing'}; supported endings: {', '.join(FORMS)}"
        )
    return FORMS[ending]


def read(file_name: str, content: bytes) -> Reading:
    """Reads a document.

    Raises:
        UnreadableError: It cannot be read; the text states why.
    """
    form = form_of(file_name)
    is_pdf = _PDF_MARK in content[:_MARK_WITHIN_BYTES]
    if is_pdf != (form is _PDF):
        what = "a PDF under another name" if is_pdf else "not a PDF, despite its name"
        raise UnreadableError(f"it is {what}")
    module = import_module(f"memory.knowledge.reading.{form.module}")
    reading = cast(Callable[[bytes], Reading], module.read)(content)
    if not reading.blocks:
        raise UnreadableError("it has no text")
    return reading
