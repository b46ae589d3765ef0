"""The sources of `anima knowledge add`: files, folders and web pages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx

from cli.knowledge.fetching import FetchError, fetch
from memory.knowledge.reading.forms import FORMS
from memory.knowledge.receiving import MAX_FILE_BYTES
from memory.knowledge.uris import without_user_info

_MAX_FILES: Final = 10_000
_MAX_NAME_CHARS: Final = 200
_VAGUE_TYPES: Final = ("", "application/octet-stream", "text/plain")
_SCHEMES: Final = ("http", "https")
_ENDINGS: Final = {form.media_type: ending for ending, form in reversed(FORMS.items())} | {
    "application/xhtml+xml": ".html",
    "text/x-markdown": ".md",
}


class SourceError(Exception):
    """A document cannot be loaded; the text gives the reason."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A document to add."""

    shown: str
    """The name shown to users."""
    uri: str
    path: Path | None = None
    """None: it must be downloaded."""
    address: str = field(default="", repr=False)
    """Where to download it, perhaps with a password."""

    def load(self) -> tuple[str, bytes]:
        """Returns the file name and the content.

        Raises:
            SourceError: It cannot be loaded or is too large.
        """
        return _fetched(self.address) if self.path is None else _read(self.path)


def sources(targets: list[str]) -> Iterator[Source]:
    """Yields the documents of files, folders and URLs; folders recursively, in order of name.

    Raises:
        SourceError: A target does not exist, or a folder has too many files.
    """
    for target in targets:
        if "://" in target:
            public = without_user_info(target)
            if urlsplit(target).scheme not in _SCHEMES:
                raise SourceError(f"{public}: only http and https URLs are supported")
            yield Source(shown=public, uri=public, address=target)
            continue
        path = Path(target)
        if path.is_dir():
            yield from map(_of_file, _files(path))
        elif path.is_file():
            yield _of_file(path)
        else:
            raise SourceError(f"{target} is not a file, a folder or a URL")


def _of_file(path: Path) -> Source:
    return Source(shown=str(path), uri=path.resolve().as_uri(), path=path)


def _files(folder: Path) -> list[Path]:
    """Returns the readable files of a folder, without hidden files and links."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent) / name
            readable = not name.startswith(".") and path.suffix.lower() in FORMS
            if readable and not path.is_symlink():
                found.append(path)
        if len(found) > _MAX_FILES:
            raise SourceError(
                f"{folder} has more than {_MAX_FILES} documents: add subfolders separately"
            )
    return found


def _read(path: Path) -> tuple[str, bytes]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _too_large()
        return path.name, path.read_bytes()
    except OSError as error:
        raise SourceError(f"it cannot be read: {error.strerror}") from error


def _fetched(address: str) -> tuple[str, bytes]:
    try:
        return fetch(address, accept=", ".join(_ENDINGS), max_bytes=MAX_FILE_BYTES, name_of=_name)
    except FetchError as error:
        raise SourceError(str(error)) from error


def _name(url: httpx.URL, media_type: str) -> str:
    """Returns a file name with the extension of the server's content type, or that of the URL."""
    path = PurePosixPath(unquote(url.path))
    name = (path.name or url.host)[-_MAX_NAME_CHARS:]
    if path.suffix.lower() in FORMS and media_type in _VAGUE_TYPES:
        return name
    ending = _ENDINGS.get(media_type)
    if ending is None:
        raise SourceError(f"its type {media_type or '(none)'} cannot be read")
    return name if FORMS.get(path.suffix.lower()) is FORMS[ending] else f"{name}{ending}"


def _too_large() -> SourceError:
    return SourceError(f"it is larger than {MAX_FILE_BYTES // 1024**2} MiB: split it")
