"""The tables of the memory's database and the setup of a connection to it."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from memory.service.faults import StoreError as StoreError
from memory.sqlite import encryption
from memory.sqlite.migrations import MIGRATIONS
from services.runtime.process.clock import unix_ms

BUSY_TIMEOUT_MS = 5_000


def connect(
    path: Path, synchronous: Literal["full", "normal"], key: encryption.Key | None = None
) -> sqlite3.Connection:
    """Opens a connection for use by any thread, one at a time.

    Args:
        path: The database file; created if it is missing.
        synchronous: Whether a commit waits for the disk.
        key: The key of an encrypted database; None if it is not encrypted.

    Raises:
        StoreError: The key is wrong, or there is a key but the database is not encrypted.
    """
    timeout_s = BUSY_TIMEOUT_MS / 1000
    if key is None:
        connection = sqlite3.connect(
            path, timeout=timeout_s, isolation_level=None, check_same_thread=False
        )
    else:
        encryption.check_form(path)
        connection = encryption.connect(path, key, timeout_s=timeout_s)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous.upper()}")
        connection.execute("PRAGMA foreign_keys = ON")
        # Erased data is overwritten in this file, and is never written to a temporary one.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        # As in PostgreSQL; SQLite's `max` and `min` of several values are not standard.
        connection.create_function("greatest", -1, max, deterministic=True)
        connection.create_function("least", -1, min, deterministic=True)
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection, path: Path, steps: Sequence[str] = MIGRATIONS) -> None:
    """Upgrades the tables to the current version: creates them, or runs the missing steps.

    Each step runs in its own transaction and is recorded with its checksum.

    Raises:
        StoreError: The database is from a newer program, or was made by other steps.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(steps):
        raise StoreError(
            f"{path} has version {version} of the tables, this program supports {len(steps)}: "
            "use the program that made it, or another ANIMA_DATA_DIR"
        )
    if version == 0 and _table_names(connection):
        raise StoreError(f"{path} is a database of something else: use another ANIMA_DATA_DIR")
    _check_taken(connection, path, steps[:version])
    for number in range(version + 1, len(steps) + 1):
        _take(connection, steps, number)


def _table_names(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {row[0] for row in rows}


def _check_taken(connection: sqlite3.Connection, path: Path, steps: Sequence[str]) -> None:
    # The first release did not record its steps.
    if "migration" not in _table_names(connection):
        return
    taken = dict(connection.execute("SELECT version, sha256 FROM migration").fetchall())
    for number, step in enumerate(steps, 1):
        if taken.get(number) != sha256_of(step):
            raise StoreError(
                f"{path}: step {number} of its tables is not the one of this program: "
                "use the program that made it"
            )


def _take(connection: sqlite3.Connection, steps: Sequence[str], number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _statements(steps[number - 1]):
            connection.execute(statement)
        if "migration" in _table_names(connection):
            now_unix_ms = unix_ms()
            connection.executemany(
                "INSERT OR IGNORE INTO migration (version, sha256, applied_unix_ms)"
                " VALUES (?, ?, ?)",
                [(n, sha256_of(steps[n - 1]), now_unix_ms) for n in range(1, number + 1)],
            )
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _statements(script: str) -> Iterator[str]:
    # Not executescript(), which would end the transaction.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def sha256_of(step: str) -> str:
    """Returns the checksum that identifies a step."""
    return hashlib.sha256(step.encode()).hexdigest()


def damaged(path: Path, fault: str) -> StoreError:
    """Returns the error for a file that is not a sound database."""
    return StoreError(
        f"{path} is damaged ({fault}): put back a copy, or move the file away to start over"
    )
