"""Checks the pages of a database for damage."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from memory.sqlite.connection import Connection

START_CHECK_S: Final = 2.0
"""Default time limit of the check at start: enough for several hundred megabytes."""
_MOST_FAULTS: Final = 100


def checked_in(connection: sqlite3.Connection, limit_s: float) -> str | None:
    """Looks for damaged pages, up to a time limit.

    Returns:
        The first fault; empty if there is none; None if the time ran out before all pages were
        read.
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
    """Checks all pages, indexes and references; takes about as long as reading the file.

    Returns:
        The faults, at most a hundred.
    """
    found = connection.execute(f"PRAGMA integrity_check({_MOST_FAULTS})").fetchall()
    found_faults = [str(row[0]) for row in found if row[0] != "ok"]
    for table, row, other, _ in connection.execute("PRAGMA foreign_key_check").fetchall():
        found_faults.append(f"row {row} of {table} refers to a missing row of {other}")
    return found_faults[:_MOST_FAULTS]


def _first_fault(connection: sqlite3.Connection) -> str:
    fault = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    return "" if fault == "ok" else fault


@contextmanager
def _interrupted_after(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Interrupts a statement that is still running after a time, but none after the block."""
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
