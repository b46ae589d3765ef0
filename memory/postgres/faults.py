"""Maps PostgreSQL's errors to the memory's."""

import sqlite3

import asyncpg

from memory.service.faults import disk_full
from services.runtime.errors import InternalError, Unavailable

LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
)
"""The server cannot be reached, or the connection was lost."""
FAULTS = (asyncpg.PostgresError, *LOST)
"""All exceptions that asyncpg raises."""


def fault(error: Exception, place: str) -> Exception:
    """Returns the error that the memory raises for an error of asyncpg.

    Args:
        error: One of `FAULTS`.
        place: The server and its database, without secrets.
    """
    if isinstance(error, asyncpg.UniqueViolationError):
        return sqlite3.IntegrityError(str(error))
    if isinstance(error, asyncpg.DiskFullError):
        return disk_full(place)
    if isinstance(error, (*LOST, TimeoutError)):
        return Unavailable(
            f"the memory's database {place} does not answer: {str(error) or type(error).__name__}"
        )
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
        return Unavailable(f"the memory's database {place} is read-only now")
    return InternalError("the memory's database fails; see its log")
