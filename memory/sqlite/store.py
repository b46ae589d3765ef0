"""The memory's storage: items and their vectors in one SQLite database."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Literal

from memory.service.faults import DiskFullError
from memory.sqlite.checking import START_CHECK_S, checked_in
from memory.sqlite.commits import CommitCount
from memory.sqlite.encryption import Key, as_sqlite_errors
from memory.sqlite.files import overwrite, remove_database, sync
from memory.sqlite.folder_lock import LOCK_NAME, lock
from memory.sqlite.gate import Gate
from memory.sqlite.identity import FileIdentity
from memory.sqlite.live_copy import LiveCopy
from memory.sqlite.reserve import Reserve
from memory.sqlite.schema import StoreError, connect, damaged, prepare
from memory.store import Truth
from services.runtime.observing.logs import get_logger
from services.runtime.process.private_files import tighten

COPY_NAME: Final = "memory.db.new"
RESERVE_NAME: Final = "memory.reserve"
_MAX_ROUNDS: Final = 20
_FEW_CHANGES: Final = 500
"""The number of changed rows that may be copied while writers are blocked."""
_SHUT_TIMEOUT_S: Final = 2.0
_INTERRUPT_S: Final = 0.02
_LOG_PAGES: Final = 1_000
_PAGE_BYTES: Final = 4_096
_RESERVE_PER_LOG: Final = 6
_ROWS_IN_RESERVE: Final = 25
_USED: Final = b"in use\n"


class Store(Truth):
    """One database file, used by one process. Thread-safe; writes run one after the other."""

    def __init__(
        self,
        folder: Path,
        *,
        synchronous: Literal["full", "normal"] = "full",
        key: Key | None = None,
        check_s: float = START_CHECK_S,
        reserve_bytes: int = 0,
    ) -> None:
        """Opens or creates the database `memory.db` in a folder.

        Args:
            folder: Created if it is missing.
            synchronous: Whether a commit waits for the disk.
            key: The key of the database; None if it is not encrypted.
            check_s: The time limit of the check for damaged pages, s.
            reserve_bytes: The space that is kept for erasing on a full disk.

        Raises:
            StoreError: The folder cannot be written, another process uses it, the key is wrong, or
                the database is damaged; the text states which.
        """
        self.path = folder / "memory.db"
        self._key = key
        self._synchronous = synchronous
        self._check_s = check_s
        self._readers: list[sqlite3.Connection] = []
        self._write_lock = threading.Lock()
        self._gate = Gate()
        self._scrubbing = threading.Lock()
        self._copy: LiveCopy | None = None
        self._is_closing = False
        self._is_closed = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            tighten(folder)
            self._lock_file = lock(folder)
        except OSError as error:
            raise StoreError(f"{folder} cannot be written: {error.strerror}") from error
        try:
            remove_database(folder / COPY_NAME)
            self._reserve = Reserve(folder / RESERVE_NAME, reserve_bytes)
            self._files = FileIdentity(self.path, folder / LOCK_NAME, self._lock_file.fileno())
            is_new = not self.path.exists()
            self._writer = self._open()
            self._files.note()
            self._commits = self._count_commits(folder, is_new=is_new)
            _mark_used(self._lock_file)
        except BaseException:
            self._lock_file.close()
            raise

    def _count_commits(self, folder: Path, *, is_new: bool) -> CommitCount:
        try:
            commits = CommitCount(folder)
        except OSError as error:
            self._writer.close()
            raise StoreError(f"{folder} cannot be written: {error.strerror}") from error
        try:
            with as_sqlite_errors():
                commits.start(self._writer, is_new=is_new)
        except BaseException:
            commits.close()
            self._writer.close()
            raise
        return commits

    def _open(self) -> sqlite3.Connection:
        _check_not_emptied(self.path, self._lock_file)
        try:
            # No other user of the machine may read what people said.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}") from error
        try:
            connection = self._connect(self.path)
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self.path} cannot be opened: {error}") from error
        except sqlite3.DatabaseError as error:
            # An encrypted file looks like noise.
            hint = "" if self._key else "; or it is encrypted and ANIMA_MEMORY_KEY_FILE is not set"
            raise damaged(self.path, f"{error}{hint}") from error
        try:
            with as_sqlite_errors():
                self._check(connection)
                prepare(connection, self.path)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise damaged(self.path, str(error)) from error
        except StoreError:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        fault = checked_in(connection, self._check_s)
        if fault is None:
            get_logger().warning(
                "the check of the database ran out of time",
                file=str(self.path),
                after_s=self._check_s,
                remedy="anima memory check, while the service is stopped",
            )
        elif fault:
            raise damaged(self.path, fault)

    @property
    def place(self) -> str:
        """The folder of the database."""
        return str(self.path.parent)

    def close(self) -> None:
        """Closes the database after the current write and the current reads; later calls fail."""
        self._is_closing = True
        while not self._scrubbing.acquire(timeout=_INTERRUPT_S):
            if (copy := self._copy) is not None:
                copy.interrupt()
        try:
            with self._write_lock:
                # A thread that outlived its task would leave its connection open, and another store
                # could not replace the file.
                self._gate.close()
                self._is_closed = True
                for connection in self._readers:
                    connection.close()
                self._writer.close()
                self._commits.close()
                self._lock_file.close()
        finally:
            self._scrubbing.release()

    def _scrub_files(self) -> None:
        """Replaces the database with a compact copy.

        `secure_delete` is not enough: when SQLite moves rows between pages, it leaves copies in the
        gaps of the old pages, and deleting the row does not reach them.
        """
        with self._scrubbing:
            if self._is_closing:
                raise StoreError(f"{self.path} is closed")
            self._files.check()
            copy = LiveCopy(self.path.with_name(COPY_NAME), self._connect)
            self._copy = copy
            try:
                with self._write_lock:
                    copy.follow(self._writer)
                copy.write(self.path)
                for _ in range(_MAX_ROUNDS):
                    with self._write_lock:
                        changes = copy.take_changes()
                    with self.reading() as connection:
                        copy.catch_up(connection, changes)
                    if sum(map(len, changes.values())) <= _FEW_CHANGES:
                        break
                with self._write_lock, as_sqlite_errors():
                    copy.complete(self._writer)
                    replaced = self._replace(copy.path)
                with replaced:
                    overwrite(replaced.fileno(), os.fstat(replaced.fileno()).st_size)
            except OSError as error:
                raise StoreError(f"{copy.path} cannot be written: {error.strerror}") from error
            finally:
                self._copy = None
                with self._write_lock, as_sqlite_errors():
                    copy.stop_following(self._writer)
                copy.discard()

    def _replace(self, copy: Path) -> IO[bytes]:
        """Replaces the database with a complete copy; returns the open file of the old one."""
        with self._gate.shut(timeout_s=_SHUT_TIMEOUT_S):
            for connection in (*self._readers, self._writer):
                connection.close()
            self._readers.clear()
            try:
                log = self.path.with_name(self.path.name + "-wal")
                if log.exists() and log.stat().st_size:
                    raise StoreError(f"{self.path} is open in another program")
                replaced = self.path.open("r+b")
                copy.replace(self.path)
                sync(self.path.parent)
            finally:
                self._writer = self._connect(self.path)
                self._files.note()
        return replaced

    def _connect(self, path: Path) -> sqlite3.Connection:
        connection = connect(path, self._synchronous, self._key)
        if self._reserve.size_bytes:
            # A log that is larger than the reserve could not be written into the database.
            pages = self._reserve.size_bytes // _RESERVE_PER_LOG // _PAGE_BYTES
            connection.execute(f"PRAGMA wal_autocheckpoint = {max(1, min(_LOG_PAGES, pages))}")
        return connection

    def check_files(self) -> None:
        """Checks that the files are still those that were opened."""
        # A writer checks them itself, and a scrub replaces them.
        if self._write_lock.acquire(blocking=False):
            try:
                self._files.check()
            finally:
                self._write_lock.release()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Returns the writing connection; commits at the end, rolls back on an exception."""
        if self._reserve.is_released:
            raise DiskFullError("the space that is left is for erasing")
        with self._writing() as connection:
            yield connection

    @contextmanager
    def upkeep(self) -> Iterator[sqlite3.Connection]:
        """Like `transaction`; also uses the space of the reserve."""
        with self._writing() as connection:
            yield connection
        if self._reserve.is_released:
            with self._write_lock, as_sqlite_errors():
                # Without this the log would grow with each transaction.
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @property
    def erased_rows(self) -> int:
        """How many rows one transaction may erase."""
        return _ROWS_IN_RESERVE if self._reserve.is_released else super().erased_rows

    def prepare_erasing(self) -> None:
        """Releases the reserve if the disk is full."""
        if self._reserve.release_if_needed():
            with self._write_lock, as_sqlite_errors():
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def restore_reserve(self) -> None:
        """Occupies the space of the reserve again, once there is room."""
        self._reserve.hold()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock, as_sqlite_errors():
            if self._is_closed:
                raise StoreError("the database is closed")
            self._files.check()
            self._writer.execute("BEGIN IMMEDIATE")
            self._files.note_wal()
            before = self._writer.total_changes
            try:
                yield self._writer
                has_changed = self._writer.total_changes != before
                if has_changed:
                    self._commits.add(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                self._writer.rollback()
                raise
            if has_changed:
                self._commits.committed()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Returns a connection that reads one snapshot; keep it short, a scrub waits for it."""
        with self._gate.inside():
            try:
                connection = self._readers.pop()
            except IndexError:
                # SQLite would create an empty file.
                self._files.check()
                connection = self._connect(self.path)
                connection.execute("PRAGMA query_only = ON")
            try:
                with as_sqlite_errors():
                    connection.execute("BEGIN")
                    yield connection
            finally:
                connection.rollback()
                self._readers.append(connection)


def _mark_used(lock_file: IO[bytes]) -> None:
    """Records in the lock that the folder has a database, so that an emptied one is noticed."""
    if not os.fstat(lock_file.fileno()).st_size:
        # Without room the next start does it.
        with contextlib.suppress(OSError):
            os.write(lock_file.fileno(), _USED)


def _check_not_emptied(path: Path, lock_file: IO[bytes]) -> None:
    was_used = os.fstat(lock_file.fileno()).st_size > 0
    try:
        size_bytes = path.stat().st_size
    except FileNotFoundError:
        if was_used:
            get_logger().warning("the memory is empty: its file was removed", file=str(path))
        return
    if was_used and not size_bytes:
        raise StoreError(
            f"{path} has 0 bytes, but it contained memories before: put back a copy, or remove the "
            "file to start with an empty memory"
        )
