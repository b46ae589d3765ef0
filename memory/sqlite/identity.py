"""Notices that the files of an open database were deleted or replaced by somebody else.

SQLite would go on writing to files without a name, and everything would be lost at the end.
"""

import os
from pathlib import Path

from memory.service.faults import StoreError

Identity = tuple[int, int]


class FileIdentity:
    """The files of a database as they were when it was opened.

    Args:
        path: The database file.
        lock_file: The descriptor of the lock in the same folder.
        lock_path: The path of the lock.
    """

    def __init__(self, path: Path, lock_path: Path, lock_file: int) -> None:
        self._path = path
        self._wal_path = path.with_name(path.name + "-wal")
        self._lock_path = lock_path
        self._lock = _identity(os.fstat(lock_file))
        self._database: Identity | None = None
        self._wal: Identity | None = None

    def note(self) -> None:
        """Takes the current files for the right ones."""
        self._database = _of(self._path)
        self._wal = _of(self._wal_path)

    def note_wal(self) -> None:
        """Takes the current log for the right one, if there was none before."""
        self._wal = self._wal or _of(self._wal_path)

    def check(self) -> None:
        """Checks that the files are still the same ones.

        Raises:
            StoreError: They are not; the text states what to do.
        """
        for path, expected in (
            (self._path, self._database),
            (self._wal_path, self._wal),
            (self._lock_path, self._lock),
        ):
            if expected is not None and _of(path) != expected:
                raise StoreError(
                    f"{path} was deleted or replaced while the service runs, so nothing can be "
                    "stored: stop the service, put back the file or a copy, and start it again"
                )


def _of(path: Path) -> Identity | None:
    try:
        return _identity(path.stat())
    except FileNotFoundError:
        return None


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino
