"""The file of the queue: a turn in it survives the process that wrote it.

Each gateway has its own file, `remember-0.db` for the first one in a data folder, and holds a lock
on it. The kernel releases the lock of a killed process; the next gateway takes over every file
whose lock is free.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from gateway.remember_queue.sealing import Seal
from services.runtime.observing.logs import get_logger
from services.runtime.process.clock import unix_ms
from services.runtime.process.private_files import tighten

_VERSION: Final = 1
_MAX_FILES: Final = 256
_BUSY_TIMEOUT_S: Final = 5.0
_TABLE: Final = """
CREATE TABLE turn (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_unix_ms INTEGER NOT NULL,
    sealed INTEGER NOT NULL,
    request BLOB NOT NULL
) STRICT
"""


MAX_AGE_MS: Final = 29 * 86_400_000
"""Older turns are dropped. The memory refuses turns that waited for more than 30 days, because it
no longer knows what was erased before."""


class JournalError(Exception):
    """The file cannot be used; the text names it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A turn as stored on disk.

    Attributes:
        created_unix_ms: When it was added to the queue, ms since 1970-01-01 UTC.
        request: The serialised `RememberRequest`.
        row: Its row; 0: not written yet.
    """

    created_unix_ms: int
    request: bytes
    row: int = 0


class Journal:
    """The file of one gateway. Calls block, so use it in a thread, one call at a time."""

    def __init__(self, path: Path, lock: IO[bytes], seal: Seal | None) -> None:
        self._path = path
        self._lock = lock
        self._seal = seal
        self._connection = _connect(path)

    @classmethod
    def open(cls, folder: Path, key: bytes | None) -> Self:
        """Claims a file in a folder; creates it if it is missing.

        Args:
            folder: Created if it is missing, with access for its owner only.
            key: The key that encrypts written turns; None: they are not encrypted.

        Raises:
            JournalError: The folder is not writable, or the file is not a valid queue.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            tighten(folder)
            path, lock = _claim(folder)
        except OSError as error:
            raise JournalError(f"{folder} cannot be written: {error.strerror}") from error
        try:
            return cls(path, lock, None if key is None else Seal(key))
        except BaseException:
            lock.close()
            raise

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def load(self) -> list[Record]:
        """Takes over the files of dead gateways, and returns all turns, oldest first.

        Turns that were sealed with another key are left out, and stay in the file until they are
        too old.
        """
        for path in sorted(self._path.parent.glob("remember-*.db")):
            if path != self._path:
                self._take_over(path)
        found = self._connection.execute(
            "SELECT id, created_unix_ms, sealed, request FROM turn ORDER BY created_unix_ms, id"
        ).fetchall()
        records, unreadable = [], 0
        oldest_unix_ms = unix_ms() - MAX_AGE_MS
        for row, created_unix_ms, sealed, request in found:
            try:
                content = self._opened(request) if sealed else request
            except ValueError:
                if created_unix_ms < oldest_unix_ms:
                    self.change([], [row])
                else:
                    unreadable += 1
                continue
            records.append(Record(created_unix_ms=created_unix_ms, request=content, row=row))
        if unreadable:
            get_logger().error(
                "turns that wait for the memory are sealed with another key",
                file=str(self._path),
                turns=unreadable,
            )
        return records

    def change(self, added: Sequence[Record], removed: Sequence[int]) -> list[int]:
        """Writes and removes turns in one transaction.

        Args:
            added: The turns to write; a turn with a row replaces that row.
            removed: The rows to remove.

        Returns:
            The rows of the added turns.
        """
        with self._transaction():
            self._connection.executemany(
                "DELETE FROM turn WHERE id = ?", [(row,) for row in removed]
            )
            return [self._put(record) for record in added]

    def scrub(self) -> None:
        """Clears removed turns from the file and its log, where a removed row leaves its text."""
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def close(self) -> None:
        """Closes the file and releases it."""
        self._connection.close()
        self._lock.close()

    def _put(self, record: Record) -> int:
        request = record.request if self._seal is None else self._seal.close(record.request)
        cursor = self._connection.execute(
            "INSERT INTO turn (id, created_unix_ms, sealed, request) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed, request = excluded.request",
            (record.row or None, record.created_unix_ms, self._seal is not None, request),
        )
        return record.row or int(cursor.lastrowid or 0)

    def _opened(self, sealed: bytes) -> bytes:
        if self._seal is None:
            raise ValueError("there is no key")
        return self._seal.open(sealed)

    def _take_over(self, path: Path) -> None:
        lock = _locked(path.with_suffix(".lock"))
        if lock is None:
            return
        try:
            other = _connect(path)
            try:
                rows = other.execute(
                    "SELECT created_unix_ms, sealed, request FROM turn ORDER BY id"
                ).fetchall()
            finally:
                other.close()
            with self._transaction():
                self._connection.executemany(
                    "INSERT INTO turn (created_unix_ms, sealed, request) VALUES (?, ?, ?)", rows
                )
            # A crash before this point leaves the turns in both files: they are delivered twice and
            # stored once.
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        except (JournalError, sqlite3.Error, OSError) as error:
            get_logger().error("a queue could not be taken over", file=str(path), exc_info=error)
        finally:
            lock.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise


def _claim(folder: Path) -> tuple[Path, IO[bytes]]:
    for number in range(_MAX_FILES):
        path = folder / f"remember-{number}.db"
        lock = _locked(path.with_suffix(".lock"))
        if lock is not None:
            return path, lock
    raise JournalError(f"{folder}: {_MAX_FILES} gateways use this folder; move some to another")


def _locked(path: Path) -> IO[bytes] | None:
    """Takes a lock, held until the file is closed; None: another gateway holds it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except BaseException:
        file.close()
        raise
    return file


def _connect(path: Path) -> sqlite3.Connection:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(
            path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise JournalError(f"{path} cannot be opened: {error}") from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # Survives the death of the process. After a power loss the last turns may be missing, just
        # as if the loss had come a moment before they were written.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > _VERSION:
            raise JournalError(f"{path} was written by a newer gateway: use that one, or move it")
        if version == 0:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        connection.close()
        raise JournalError(f"{path} is damaged ({error}): move it away") from error
    except BaseException:
        with suppress(sqlite3.Error):
            connection.close()
        raise
    return connection
