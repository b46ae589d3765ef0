"""The truth of the memory: items and their vectors in one SQLite database."""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

from memory.sqlite.encryption import Key, as_sqlite_errors
from memory.sqlite.schema import StoreError, connect, damaged, prepare
from memory.store import Truth

_CHECKPOINT_ATTEMPTS = 3


class Store(Truth):
    """One database file, used by one process. Safe for threads; writes come one after the other."""

    def __init__(
        self,
        folder: Path,
        *,
        synchronous: Literal["full", "normal"] = "full",
        key: Key | None = None,
    ) -> None:
        """Opens or makes the database `memory.db` in a folder.

        Args:
            folder: Made if it is missing.
            synchronous: Whether a commit waits for the disk.
            key: By which the database is encrypted; None: it is not.

        Raises:
            StoreError: The folder cannot be written, another process uses it, the key is wrong, or
                the database is damaged; the text says which.
        """
        self.path = folder / "memory.db"
        self._key = key
        self._synchronous = synchronous
        self._readers: list[sqlite3.Connection] = []
        self._write_lock = threading.Lock()
        self._erasures = 0
        self._overwritten = 0
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock_file = lock(folder)
        except OSError as error:
            raise StoreError(f"{folder} cannot be written: {error.strerror}") from error
        try:
            self._writer = self._open()
        except BaseException:
            self._lock_file.close()
            raise

    def _open(self) -> sqlite3.Connection:
        try:
            # Nobody else on the machine may read what people said.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}") from error
        try:
            connection = connect(self.path, self._synchronous, self._key)
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self.path} cannot be opened: {error}") from error
        except sqlite3.DatabaseError as error:
            # An encrypted file looks like noise.
            hint = "" if self._key else "; or it is encrypted and ANIMA_MEMORY_KEY_FILE is not set"
            raise damaged(self.path, f"{error}{hint}") from error
        try:
            with as_sqlite_errors():
                prepare(connection, self.path)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise damaged(self.path, str(error)) from error
        except StoreError:
            connection.close()
            raise
        return connection

    @property
    def place(self) -> str:
        """The folder of the database."""
        return str(self.path.parent)

    def close(self) -> None:
        """Closes the database once a write that has begun is done; nothing may come after."""
        with self._write_lock:
            for connection in self._readers:
                connection.close()
            self._writer.close()
            self._lock_file.close()

    @contextmanager
    def erasing(self) -> Iterator[sqlite3.Connection]:
        """As `transaction`; afterwards rids the files' unused parts of what was erased.

        Raises:
            StoreError: It is erased, but its text is still in the log file.
        """
        with self.transaction() as connection:
            yield connection
            erasure = self._erasures = self._erasures + 1
        self._overwrite(erasure)

    def _overwrite(self, erasure: int) -> None:
        """Rids the files of what was erased up to an erasure.

        `secure_delete` is not enough: when SQLite moves rows from page to page, it leaves copies in
        the gaps of the old pages, and deleting the row does not reach them. `VACUUM` writes the
        whole database anew. One run serves all erasures that were waiting for it.
        """
        with self._write_lock, as_sqlite_errors():
            if self._overwritten >= erasure:
                return
            latest = self._erasures
            self._writer.execute("VACUUM")
            for _ in range(_CHECKPOINT_ATTEMPTS):
                # Waits up to the busy timeout for readers; each reads only for milliseconds.
                busy = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                if not busy:
                    self._overwritten = latest
                    return
        raise StoreError("the items are erased, but the log file still holds them: forget again")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Gives the connection that writes; commits at the end, rolls back on an exception."""
        with self._write_lock, as_sqlite_errors():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                self._writer.rollback()
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Gives a connection that reads one snapshot; must be short, since erasing waits for it."""
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = connect(self.path, self._synchronous, self._key)
            connection.execute("PRAGMA query_only = ON")
        try:
            with as_sqlite_errors():
                connection.execute("BEGIN")
                yield connection
        finally:
            connection.rollback()
            self._readers.append(connection)


def lock(folder: Path) -> IO[bytes]:
    """Takes the lock of a folder, which is held until the file is closed.

    Raises:
        StoreError: Another process has it.
        OSError: The folder cannot be written.
    """
    path = folder / "memory.lock"
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StoreError(f"{path.parent} is used by another memory service") from None
    except BaseException:
        file.close()
        raise
    return file
