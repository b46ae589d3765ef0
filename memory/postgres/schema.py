"""Creates the memory's tables in PostgreSQL, by the steps of `memory.sqlite.migrations`."""

from collections.abc import Sequence

import asyncpg

from memory.postgres.connections import SCHEMA, Pool, PostgresConnection
from memory.postgres.dialect import definitions
from memory.sqlite.migrations import MIGRATIONS
from memory.sqlite.schema import StoreError, sha256_of
from services.runtime.process.clock import unix_ms

# The lock that is held while tables are created and for every write.
WRITE_LOCK = 0x616E696D61
_LEAST_VERSION = 140_000


def prepare(pool: Pool, place: str, steps: Sequence[str] = MIGRATIONS) -> None:
    """Upgrades the tables to the current version, in one transaction.

    Raises:
        StoreError: The server is too old or lacks pgvector, or the tables are not the memory's.
    """
    with pool.connection() as connection:
        (number,) = connection.execute("SELECT current_setting('server_version_num')").fetchone()
        if int(number) < _LEAST_VERSION:
            raise StoreError(
                f"{place}: PostgreSQL must be at least 14, got {int(number) // 10_000}"
            )
        connection.execute("BEGIN")
        try:
            connection.execute("SELECT pg_advisory_xact_lock(?)", (WRITE_LOCK,))
            _extend(connection, place)
            connection.run_script(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            for step in range(_version(connection, place, steps) + 1, len(steps) + 1):
                connection.run_script(definitions(steps[step - 1]))
                _note(connection, steps, step)
            connection.execute("COMMIT")
        except BaseException:
            pool.roll_back(connection)
            raise


def _extend(connection: PostgresConnection, place: str) -> None:
    held = connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone()
    if held is not None:
        return
    offered = connection.execute(
        "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"
    ).fetchone()
    if offered is None:
        raise StoreError(f"{place}: the server lacks pgvector; install it on the server")
    (allowed,) = connection.execute(
        "SELECT has_database_privilege(current_database(), 'CREATE')"
    ).fetchone()
    if not allowed:
        raise StoreError(f"{place}: let its owner run: CREATE EXTENSION vector")
    connection.run_script("CREATE EXTENSION vector SCHEMA public")


def _version(connection: PostgresConnection, place: str, steps: Sequence[str]) -> int:
    made = connection.execute(
        "SELECT 1 FROM pg_tables WHERE schemaname = ? AND tablename = 'migration'", (SCHEMA,)
    ).fetchone()
    if made is None:
        return 0
    taken = dict(map(tuple, connection.execute("SELECT version, sha256 FROM migration")))
    if len(taken) > len(steps):
        raise StoreError(
            f"{place} has version {len(taken)} of the tables, this program supports {len(steps)}: "
            "use the program that made it, or another database"
        )
    for number, step in enumerate(steps[: len(taken)], 1):
        if taken.get(number) != sha256_of(step):
            raise StoreError(
                f"{place}: step {number} of its tables is not the one of this program: "
                "use the program that made it"
            )
    return len(taken)


def _note(connection: PostgresConnection, steps: Sequence[str], step: int) -> None:
    # The table of these records is created by the second step.
    first = step if step > 2 else 1
    if step < 2:
        return
    now_unix_ms = unix_ms()
    connection.executemany(
        "INSERT INTO migration (version, sha256, applied_unix_ms) VALUES (?, ?, ?)",
        [(n, sha256_of(steps[n - 1]), now_unix_ms) for n in range(first, step + 1)],
    )


def explained(error: asyncpg.PostgresError, place: str) -> StoreError:
    """Returns the error that states why the server rejects the start."""
    return StoreError(f"{place} refuses: {error}")
