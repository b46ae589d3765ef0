"""Copies a database while it is written to, so that the copy can replace it.

`VACUUM` would do the same in place, but would block writers for as long as it takes. Instead
`VACUUM INTO` writes a compact copy of one snapshot while others write; triggers record the rows
that change, and these rows are copied again, the last ones at the moment of replacement.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from memory.sqlite.connection import Connection
from memory.sqlite.encryption import as_sqlite_errors
from memory.sqlite.files import remove_database, sync

Key = tuple[Any, ...]
Changed = dict[str, set[Key]]

_PART_ROWS: Final = 500
_NOTE: Final = "note_change"


class LiveCopy:
    """A copy of a database.

    The steps are `follow`, `write`, `catch_up` as often as there are changes, and `complete`.
    `follow`, `take_changes` and `complete` need the writer's lock.

    Args:
        path: The file of the copy; an existing file is removed.
        connect: Opens a database file.
    """

    def __init__(self, path: Path, connect: Callable[[Path], sqlite3.Connection]) -> None:
        self.path = path
        self._connect = connect
        self._changes: Changed = {}
        self._keys: dict[str, list[str]] = {}
        self._reader: sqlite3.Connection | None = None
        self._copy: sqlite3.Connection | None = None
        self._interrupted = threading.Event()

    def follow(self, writer: sqlite3.Connection) -> None:
        """Starts recording the changes of a connection, which must be the only writer."""
        tables = writer.execute(
            "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        for (table,) in tables.fetchall():
            columns = writer.execute(f'PRAGMA main.table_info("{table}")').fetchall()
            ranked = sorted((column[5], column[1]) for column in columns if column[5])
            self._keys[table] = [name for _, name in ranked]
            self._changes[table] = set()
        writer.create_function(_NOTE, -1, self._note)
        for trigger in self._triggers():
            writer.execute(trigger)

    def stop_following(self, writer: sqlite3.Connection) -> None:
        """Stops what `follow` started."""
        for table in self._keys:
            for event in ("INSERT", "UPDATE", "DELETE"):
                writer.execute(f'DROP TRIGGER IF EXISTS temp."{_NOTE}_{table}_{event}"')

    def write(self, source: Path) -> None:
        """Writes the copy of a snapshot. Takes long; needs no lock.

        Raises:
            sqlite3.Error: The disk is full, or the copy was interrupted.
        """
        remove_database(self.path)
        os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o600))
        with as_sqlite_errors(), closing(self._connect(source)) as reader:
            self._reader = reader
            try:
                self._check_interrupted()
                reader.execute("VACUUM INTO ?", (str(self.path),))
            finally:
                self._reader = None
        with as_sqlite_errors():
            self._copy = copy = self._connect(self.path)
            # Rows are copied one by one: dependent rows are copied, or removed, separately.
            copy.execute("PRAGMA foreign_keys = OFF")
            # Erased data must not get into a journal. A crash leaves the source unchanged.
            copy.execute("PRAGMA journal_mode = MEMORY")
            copy.execute("PRAGMA synchronous = OFF")
            for name, _ in self._schema_triggers(copy):
                copy.execute(f'DROP TRIGGER "{name}"')

    def take_changes(self) -> Changed:
        """Returns the changes since the last call; no transaction may be open during the call."""
        changes, self._changes = self._changes, {table: set() for table in self._keys}
        return changes

    def catch_up(self, source: Connection, changes: Changed) -> None:
        """Copies changed rows again, or removes them.

        Args:
            source: Reads the database as it was when the changes were taken, or later.
            changes: From `take_changes`.
        """
        assert self._copy is not None  # noqa: S101 - `write` comes first
        self._check_interrupted()
        with as_sqlite_errors():
            self._copy.execute("BEGIN")
            for table, keys in changes.items():
                for some in _parts(sorted(keys)):
                    self._copy_rows(source, table, some)
            self._copy.execute("COMMIT")

    def complete(self, writer: sqlite3.Connection) -> None:
        """Copies the last changes; then the copy is complete, closed and on the disk."""
        assert self._copy is not None  # noqa: S101 - `write` comes first
        self.catch_up(writer, self.take_changes())
        with as_sqlite_errors():
            # A row id that was used since the snapshot and is free again must not be reused.
            last_ids = writer.execute("SELECT name, seq FROM main.sqlite_sequence").fetchall()
            self._copy.execute("DELETE FROM sqlite_sequence")
            self._copy.executemany("INSERT INTO sqlite_sequence VALUES (?, ?)", last_ids)
            for _, sql in self._schema_triggers(writer):
                self._copy.execute(sql)
            self._copy.close()
            self._copy = None
        sync(self.path)

    def interrupt(self) -> None:
        """Makes `write` and `catch_up` fail soon; may be called from another thread."""
        self._interrupted.set()
        reader = self._reader
        if reader is not None:
            reader.interrupt()

    def discard(self) -> None:
        """Removes the copy, if it did not replace the source."""
        if self._copy is not None:
            self._copy.close()
            self._copy = None
        remove_database(self.path)

    def _note(self, table: str, *key: Any) -> None:
        self._changes[table].add(key)

    def _triggers(self) -> Iterator[str]:
        for table, columns in self._keys.items():
            for event, rows in (
                ("INSERT", ("NEW",)),
                ("UPDATE", ("OLD", "NEW")),
                ("DELETE", ("OLD",)),
            ):
                notes = "".join(
                    f"SELECT {_NOTE}('{table}', {', '.join(f'{row}.{name}' for name in columns)});"
                    for row in rows
                )
                yield (
                    f'CREATE TEMP TRIGGER "{_NOTE}_{table}_{event}" AFTER {event}'
                    f' ON main."{table}" BEGIN {notes} END'
                )

    def _copy_rows(self, source: Connection, table: str, keys: Sequence[Key]) -> None:
        assert self._copy is not None  # noqa: S101 - `write` comes first
        columns = self._keys[table]
        own = " AND ".join(f"{name} = ?" for name in columns)
        values = f"({', '.join('?' * len(columns))})"
        found = source.execute(
            f'SELECT * FROM main."{table}" WHERE ({", ".join(columns)})'  # noqa: S608
            f" IN (VALUES {', '.join([values] * len(keys))})",
            [value for key in keys for value in key],
        ).fetchall()
        self._copy.executemany(f'DELETE FROM "{table}" WHERE {own}', keys)  # noqa: S608
        if found:
            places = ", ".join("?" * len(found[0]))
            self._copy.executemany(f'INSERT INTO "{table}" VALUES ({places})', found)  # noqa: S608

    def _schema_triggers(self, connection: sqlite3.Connection) -> list[tuple[str, str]]:
        return connection.execute(
            "SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger'"
        ).fetchall()

    def _check_interrupted(self) -> None:
        if self._interrupted.is_set():
            raise sqlite3.OperationalError("interrupted")


def _parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for start in range(0, len(keys), _PART_ROWS):
        yield keys[start : start + _PART_ROWS]
