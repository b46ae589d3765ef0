"""The errors that callers receive when the database fails."""

import sqlite3

from services.runtime.errors import (
    DISK_FULL_REASON,
    AnimaError,
    Busy,
    InternalError,
    Unavailable,
)


class StoreError(Exception):
    """The database cannot be used; the text names the file and states what to do."""


class DiskFullError(StoreError):
    """The disk is full, and the space that is left is for erasing."""


_FULL_RETRY_MS = 10_000
_PASSING_ERRORS = {
    sqlite3.SQLITE_BUSY: "its database is busy",
    sqlite3.SQLITE_IOERR: "its disk fails",
    sqlite3.SQLITE_READONLY: "its disk is read-only",
    sqlite3.SQLITE_CANTOPEN: "its database cannot be opened",
}


def disk_full(place: str) -> Busy:
    """Returns the error for a write that failed because the disk is full."""
    return Busy(
        f"the memory cannot store this: the disk of {place} is full. Nothing of this call was"
        " stored; stored items can still be read and erased. Make room there, and writing works"
        " again",
        reason=DISK_FULL_REASON,
        retry_after_ms=_FULL_RETRY_MS,
    )


def service_error(error: StoreError | sqlite3.Error, place: str) -> AnimaError:
    """Returns the error that a caller receives for an error of the store.

    Args:
        error: The error of the store.
        place: The location of the database.
    """
    if isinstance(error, DiskFullError):
        return disk_full(place)
    if isinstance(error, StoreError):
        return Unavailable(f"the memory: {error}")
    # The low byte is the kind of the error, the rest its detail.
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if kind == sqlite3.SQLITE_FULL:
        return disk_full(place)
    if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return InternalError(
            "a page of the memory's database is damaged: stop the service and put back a copy of"
            f" memory.db in {place}; users whose pages are sound can still be exported"
        )
    if kind in _PASSING_ERRORS:
        return Unavailable(f"the memory cannot do this now: {_PASSING_ERRORS[kind]}")
    return InternalError("the memory's database fails; see its log")
