"""Encrypts a plain store, changes its key, or decrypts it, while no service uses it."""

import os
import sqlite3
from pathlib import Path

from memory.sqlite.encryption import Key, as_sqlite_errors, check_form, connect
from memory.sqlite.files import overwrite, sync
from memory.sqlite.folder_lock import lock
from memory.sqlite.schema import BUSY_TIMEOUT_MS, StoreError, damaged
from memory.sqlite.store import COPY_NAME


def reencrypt(folder: Path, old: Key | None, new: Key | None) -> int:
    """Rewrites the database with another key, and replaces the old one with it.

    Until then the old one is unchanged; afterwards its bytes are overwritten. Traces that the disk
    keeps (its journal, worn blocks, snapshots) cannot be removed.

    Args:
        folder: Contains `memory.db`.
        old: The current key; None if it is not encrypted.
        new: The new key; None for no encryption.

    Returns:
        The number of its items.

    Raises:
        StoreError: It is in use, the old key is wrong, or it is damaged.
        OSError: The disk is full, or cannot be written.
    """
    path, made = folder / "memory.db", folder / COPY_NAME
    if not path.is_file():
        raise StoreError(f"{folder} contains no memory.db")
    held = lock(folder)
    try:
        made.unlink(missing_ok=True)
        os.close(os.open(made, os.O_CREAT | os.O_EXCL, 0o600))
        try:
            count = _written_anew(path, made, old, new)
        except BaseException:
            made.unlink()
            raise
        sync(made)
        with path.open("r+b") as replaced:
            made.replace(path)
            sync(folder)
            overwrite(replaced.fileno(), os.fstat(replaced.fileno()).st_size)
        return count
    finally:
        held.close()


def _written_anew(path: Path, made: Path, old: Key | None, new: Key | None) -> int:
    if old is not None:
        check_form(path)
    connection = connect(path, old, timeout_s=BUSY_TIMEOUT_MS / 1000)
    try:
        with as_sqlite_errors():
            return _export(connection, path, made, new)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise StoreError(f"{made} cannot be written: {error}") from error
        raise damaged(path, str(error)) from error
    finally:
        connection.close()


def _export(connection: sqlite3.Connection, path: Path, made: Path, new: Key | None) -> int:
    fault = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if fault != "ok":
        raise damaged(path, fault)
    # Empties the log, which is removed with the connection.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.execute("PRAGMA temp_store = MEMORY")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    key = "" if new is None else new.secret
    connection.execute("ATTACH DATABASE ? AS made KEY ?", (str(made), key))
    connection.execute("SELECT sqlcipher_export('made')").fetchone()
    connection.execute(f"PRAGMA made.user_version = {int(version)}")
    names = connection.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'")
    for (name,) in names.fetchall():
        before, after = (
            connection.execute(f'SELECT count(*) FROM {side}."{name}"').fetchone()[0]  # noqa: S608
            for side in ("main", "made")
        )
        if before != after:
            raise StoreError(f"{name}: {before} rows became {after}; {path} is unchanged")
    (count,) = connection.execute("SELECT count(*) FROM made.item").fetchone()
    connection.execute("DETACH DATABASE made")
    return int(count)
