"""The version of an avatar package: a name for its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from services.runtime.settings import SettingsError

_DIGITS = 16


def version_of(folder: Path, names: Iterable[str]) -> str:
    """Returns 16 hexadecimal digits that differ when any of the named files differs.

    Raises:
        SettingsError: A file cannot be read; the text names it.
    """
    digest = hashlib.sha256()
    for name in names:
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            raise SettingsError(f"{folder / name}: cannot be read: {error.strerror}") from error
        # the length keeps bytes from moving from one file to the next unseen
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:_DIGITS]
