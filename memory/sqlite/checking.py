"""Checks whether the pages of a database are sound."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from memory.sqlite.connection import Connection

START_CHECK_S: Final = 2.0
"""How long a check at start may take by default: enough for several hundred megabytes."""
_MOST_FAULTS: Final = 100


def checked_in(connection: sqlite3.Connection, limit_s: float) -> str | None:
    """Looks for damaged pages, for a time.

    Returns:
        The first fault; empty: there is none; None: the time was over before all pages were read.
    """
    if limit_s <= 0:
        return None
    try:
        with _interrupted_after(connection, limit_s):
            return _first_fault(connection)
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_INTERRUPT:
            raise
        return None


def faults(connection: Connection) -> list[str]:
    """Looks at all pages, indexes and references; takes about as long as reading the file.

    Returns:
        What is wrong, at most a hundred faults.
    """
    found = connection.execute(f"PRAGMA integrity_check({_MOST_FAULTS})").fetchall()
    found_faults = [str(row[0]) for row in found if row[0] != "ok"]
    for table, row, other, _ in connection.execute("PRAGMA foreign_key_check").fetchall():
        found_faults.append(f"row {row} of {table} refers to a row of {other} that is missing")
    return found_faults[:_MOST_FAULTS]


def _first_fault(connection: sqlite3.Connection) -> str:
    fault = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    return "" if fault == "ok" else fault


@contextmanager
def _interrupted_after(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Interrupts the statement that still runs after a time, and none that follows the block."""
    done = threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            connection.interrupt()

    watching = threading.Thread(target=watch, name="memory-check", daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()
