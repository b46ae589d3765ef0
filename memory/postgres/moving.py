"""Moves a SQLite store to PostgreSQL: in parts, resumable, compared at the end.

Row ids are kept, so that all references to an item stay valid. An interrupted move continues where
it stopped, because the rows of a table are copied in key order.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from memory.postgres.connections import SCHEMA
from memory.postgres.store import PostgresStore
from memory.sqlite.connection import Connection
from memory.sqlite.schema import StoreError
from memory.sqlite.store import Store

_PART = 1_000
# Tables that each database keeps for itself.
_OWN_TABLES = ("commit_count", "migration", "scrub", "sqlite_sequence")


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table to move."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """The columns of the primary key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """The content of a table, equal on both sides."""

    table: str
    rows: int
    sha256: str
    """Hash of all rows, in key order."""


def move(
    source: Store, target: PostgresStore, progress: Callable[[str, int, int], None]
) -> list[Moved]:
    """Copies all tables, or their missing rows, and compares both sides row by row.

    Args:
        source: Must not be used by anything else: its lock is held.
        target: Empty, or left by an earlier move from the same source.
        progress: Called with a table, its number of rows copied, and its total number of rows.

    Raises:
        StoreError: The target has other content, or both sides differ at the end.
    """
    with source.reading() as connection:
        tables = list(_tables(connection))
        origin = _origin(connection, source)
    _claim(target, origin)
    for table in tables:
        _copy(source, target, table, progress)
    with source.reading() as connection:
        last_ids = connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
    with target.transaction() as connection:
        for name, last_id in last_ids:
            if last_id:
                connection.execute(
                    f"SELECT setval(pg_get_serial_sequence('{SCHEMA}.{name}', 'id'), ?)",
                    (last_id,),
                )
    return [_compared(source, target, table) for table in tables]


def _tables(connection: Connection) -> Iterator[Table]:
    names = connection.execute(
        # In order of creation: referenced tables come first.
        "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid"
    ).fetchall()
    for (name,) in names:
        if name in _OWN_TABLES:
            continue
        columns = connection.execute(f'PRAGMA table_info("{name}")').fetchall()
        key = sorted((column[5], column[1]) for column in columns if column[5])
        yield Table(
            name=name,
            columns=tuple(column[1] for column in columns),
            key=tuple(column for _, column in key),
        )


def _origin(connection: Connection, source: Store) -> str:
    made = connection.execute("SELECT applied_unix_ms FROM migration ORDER BY version").fetchall()
    return hashlib.sha256(f"{source.place} {made}".encode()).hexdigest()


def _claim(target: PostgresStore, origin: str) -> None:
    with target.transaction() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS moved_from (origin TEXT PRIMARY KEY)")
        noted = connection.execute("SELECT origin FROM moved_from").fetchone()
        if noted is None:
            if connection.execute("SELECT 1 FROM user LIMIT 1").fetchone() is not None:
                raise StoreError(
                    f"{target.place} already contains memories: move into an empty database"
                )
            # Records of erasures made there before it was empty.
            connection.execute("DELETE FROM erasure")
            connection.execute("INSERT INTO moved_from (origin) VALUES (?)", (origin,))
        elif noted[0] != origin:
            raise StoreError(f"{target.place} was filled from another store: use an empty database")


def _copy(
    source: Store, target: PostgresStore, table: Table, progress: Callable[[str, int, int], None]
) -> None:
    columns, key = _listed(table.columns), _listed(table.key)
    with target.reading() as connection:
        last = connection.execute(
            f"SELECT {key} FROM {table.name} ORDER BY {_listed(table.key, ' DESC')} LIMIT 1"  # noqa: S608
        ).fetchone()
        (done,) = connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()  # noqa: S608
    with source.reading() as connection:
        (total,) = connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()  # noqa: S608
    progress(table.name, done, total)
    for rows in _parts(source, table, None if last is None else tuple(last)):
        with target.transaction() as connection:
            places = ", ".join("?" * len(table.columns))
            connection.executemany(
                f"INSERT INTO {table.name} ({columns}) VALUES ({places})",  # noqa: S608
                rows,
            )
        done += len(rows)
        progress(table.name, done, total)


def _parts(
    store: Store | PostgresStore, table: Table, after: Sequence[Any] | None = None
) -> Iterator[list[tuple[Any, ...]]]:
    """Yields the rows of a table in key order, starting after a key."""
    columns, key = _listed(table.columns), _listed(table.key)
    at = [table.columns.index(column) for column in table.key]
    while True:
        behind = "" if after is None else f" WHERE ({key}) > ({', '.join('?' * len(at))})"
        with store.reading() as connection:
            found = connection.execute(
                f"SELECT {columns} FROM {table.name}{behind} ORDER BY {key} LIMIT {_PART}",  # noqa: S608
                tuple(after or ()),
            )
            rows = [tuple(row) for row in found]
        if not rows:
            return
        yield rows
        after = [rows[-1][place] for place in at]


def _compared(source: Store, target: PostgresStore, table: Table) -> Moved:
    ours, theirs = (_summed(store, table) for store in (source, target))
    if ours != theirs:
        raise StoreError(
            f"{table.name}: {ours.rows} rows here and {theirs.rows} in {target.place} differ;"
            " empty that database and move again"
        )
    return ours


def _summed(store: Store | PostgresStore, table: Table) -> Moved:
    digest, count = hashlib.sha256(), 0
    for rows in _parts(store, table):
        count += len(rows)
        for row in rows:
            digest.update(repr(row).encode())
    return Moved(table=table.name, rows=count, sha256=digest.hexdigest())


def _listed(columns: Sequence[str], suffix: str = "") -> str:
    return ", ".join(f"{column}{suffix}" for column in columns)
