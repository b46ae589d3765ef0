"""The tables of the memory's database and how a connection to it is set up."""

import sqlite3
from pathlib import Path
from typing import Literal

VERSION = 1
BUSY_TIMEOUT_MS = 5_000

# Row ids are never used again (AUTOINCREMENT): an index in memory knows by the highest one what it
# has seen. `revision` rises when an index that has seen all rows must still be made anew.
# There is no FTS5 table on purpose: until SQLite 3.42 it keeps the words of a deleted text in its
# segments, and its ranking counts the texts of all users. The index in memory does neither.
_TABLES = """
CREATE TABLE user (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE item (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user INTEGER NOT NULL REFERENCES user ON DELETE CASCADE,
    item_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    speaker INTEGER NOT NULL,
    text TEXT NOT NULL,
    session_id TEXT NOT NULL,
    turn_id TEXT NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    UNIQUE (user, item_id)
) STRICT;
CREATE INDEX item_by_row ON item (user, id);
CREATE INDEX item_by_time ON item (user, created_unix_ms, id);
CREATE TABLE vec (
    item INTEGER PRIMARY KEY REFERENCES item ON DELETE CASCADE,
    model_id TEXT NOT NULL,
    dimensions INTEGER NOT NULL,
    vector BLOB NOT NULL
) STRICT;
"""


class StoreError(Exception):
    """The database cannot be used; the text names the file and says what to do."""


def connect(path: Path, synchronous: Literal["full", "normal"]) -> sqlite3.Connection:
    """Opens a connection for use by any thread, one at a time.

    Args:
        path: The database file; made if it is missing.
        synchronous: Whether a commit waits for the disk.
    """
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous.upper()}")
        connection.execute("PRAGMA foreign_keys = ON")
        # What is erased is overwritten, in this file and in no temporary one.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Makes the tables of a new database, or checks an old one.

    Raises:
        StoreError: The database is damaged or of another version.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if version == 0 and tables == 0:
        connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    elif version != VERSION:
        raise StoreError(
            f"{path} has version {version} of the tables, this program needs {VERSION}: "
            "use the program that made it, or another ANIMA_DATA_DIR"
        )
    fault = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if fault != "ok":
        raise damaged(path, fault)


def damaged(path: Path, fault: str) -> StoreError:
    """Makes the error that says that the file is no sound database."""
    return StoreError(
        f"{path} is damaged ({fault}): put back a copy, or move the file away to begin anew"
    )
