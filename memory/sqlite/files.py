"""Operations on database files outside of SQLite."""

import os
from pathlib import Path
from typing import Final

_PIECE_BYTES: Final = 1 << 20


def overwrite(file: int, size_bytes: int) -> None:
    """Fills an open file with zeros, including on the disk."""
    for start in range(0, size_bytes, _PIECE_BYTES):
        os.pwrite(file, bytes(min(_PIECE_BYTES, size_bytes - start)), start)
    os.fsync(file)


def sync(path: Path) -> None:
    """Waits until a file, or the entries of a folder, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def remove_database(path: Path) -> None:
    """Removes a database and the files that SQLite keeps beside it; it must not be open."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
