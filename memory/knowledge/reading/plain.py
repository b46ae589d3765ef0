"""Reads text files."""

import codecs
import re
from typing import Final

from memory.knowledge.reading.blocks import (
    MAX_CHARS,
    Block,
    Reading,
    UnreadableError,
    bounded,
    too_many,
)

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BETWEEN_PARAGRAPHS: Final = re.compile(r"\n[ \t]*\n\s*")


def decoded(content: bytes) -> str:
    """Decodes a file in UTF-8, or in UTF-16 with a byte order mark.

    Raises:
        UnreadableError: It is neither.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise UnreadableError("it is not UTF-8 text: save it as UTF-8") from None
    if "\0" in text:
        raise UnreadableError("it is not text: it contains NUL characters")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read(content: bytes) -> Reading:
    """Reads a text file; paragraphs are separated by empty lines.

    Raises:
        UnreadableError: It is not text, or has more of it than a document may have.
    """
    text = decoded(content)
    if len(text) > MAX_CHARS:
        raise too_many("characters", MAX_CHARS)
    paragraphs = _BETWEEN_PARAGRAPHS.split(text)
    return Reading(title="", blocks=bounded(Block(text) for text in paragraphs))
