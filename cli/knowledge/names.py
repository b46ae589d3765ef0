"""The names of documents for users: titles, files, locations and ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from rich.markup import escape
from rich.table import Column, Table

from anima.memory import v1 as wire

_MIN_ID_CHARS: Final = 8
_MIN_PREFIX_CHARS: Final = 2
_WIDE_CHARS: Final = 140
"""From this width the list has room for full ids."""


class NoDocumentError(Exception):
    """No document has the name."""


class AmbiguousError(Exception):
    """Several documents have the name; the text lists the id and location of each."""


def place_of(document: wire.Document) -> str:
    """Returns the source of a document: a path on this machine, or a URL."""
    parts = urlsplit(document.source_uri)
    return unquote(parts.path) if parts.scheme == "file" else document.source_uri


def short_ids(documents: Iterable[wire.Document]) -> dict[str, str]:
    """Returns a unique prefix of each id, at least 8 characters, by id."""
    ids = sorted(one.document_id for one in documents)
    found: dict[str, str] = {}
    for index, each in enumerate(ids):
        neighbours = ids[max(0, index - 1) : index] + ids[index + 1 : index + 2]
        shared = max((_shared_chars(each, other) for other in neighbours), default=0)
        found[each] = each[: max(_MIN_ID_CHARS, shared + 1)]
    return found


def the_one(documents: Sequence[wire.Document], name: str) -> wire.Document:
    """Returns the document with a name.

    A name is an id or its prefix, a title, a location, or a file name with or without its
    extension. Exact matches take precedence over partial ones.

    Raises:
        NoDocumentError: No document has the name.
        AmbiguousError: Several documents have it.
    """
    for fits in _WAYS:
        found = [one for one in documents if name and fits(one, name)]
        if len(found) == 1:
            return found[0]
        if found:
            ids = short_ids(documents)
            lines = [f"  {ids[one.document_id]}  {place_of(one) or one.title}" for one in found]
            raise AmbiguousError("\n".join([f"{len(found)} documents match {name}:", *lines]))
    raise NoDocumentError(name)


def table(documents: Sequence[wire.Document], width: int) -> Table:
    """Returns a table of documents without truncated cells.

    Args:
        documents: The documents.
        width: The available width, in characters.
    """
    wide = width >= _WIDE_CHARS
    ids = {one: one for one in short_ids(documents)} if wide else short_ids(documents)
    result = Table(
        Column("title", overflow="fold", ratio=1),
        Column("from", overflow="fold", ratio=2),
        Column("pages", no_wrap=True),
        Column("passages", no_wrap=True),
        Column("added", no_wrap=True),
        Column("id", no_wrap=True),
        expand=not wide,
        show_lines=not wide,
        width=None if wide else width,
    )
    for one in documents:
        added = datetime.fromtimestamp(one.added_unix_ms / 1000, UTC)
        result.add_row(
            escape(one.title),
            escape(place_of(one)),
            str(one.page_count or ""),
            str(one.passage_count),
            added.strftime("%Y-%m-%d %H:%M" if wide else "%Y-%m-%d"),
            ids[one.document_id],
        )
    return result


def _file_of(document: wire.Document) -> PurePosixPath:
    return PurePosixPath(unquote(urlsplit(document.source_uri).path))


_WAYS: Final[tuple[Callable[[wire.Document, str], bool], ...]] = (
    lambda one, name: name == one.document_id,
    lambda one, name: name in (place_of(one), one.source_uri),
    lambda one, name: name == one.title,
    lambda one, name: name.casefold() == one.title.casefold(),
    lambda one, name: name == _file_of(one).name,
    lambda one, name: name == _file_of(one).stem,
    lambda one, name: len(name) >= _MIN_PREFIX_CHARS and one.document_id.startswith(name),
)


def _shared_chars(one: str, other: str) -> int:
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return index
    return min(len(one), len(other))
