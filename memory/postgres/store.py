"""The memory's storage in PostgreSQL, which several services may share."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg

from memory.postgres.connections import Pool
from memory.postgres.schema import WRITE_LOCK, explained, prepare
from memory.sqlite.connection import Connection
from memory.sqlite.schema import StoreError
from memory.store import Truth
from services.runtime.errors import Unavailable

_TABLES = (
    "item",
    "vec",
    "fact",
    "fact_source",
    "fact_use",
    "distillation",
    "summary",
    "summary_source",
    "erasure",
    "work_failure",
    "document",
    "passage",
)


_SCHEMES = ("postgresql", "postgres")


class PostgresStore(Truth):
    """Items of all users in a PostgreSQL database. Safe for threads and for other services."""

    def __init__(self, address: str, *, connections: int) -> None:
        """Connects, and creates missing tables.

        Args:
            address: As `postgresql://user:password@host:port/database`.
            connections: The maximum number of connections at the same time.

        Raises:
            StoreError: The server cannot be used; the text states why, without the password.
        """
        self._place = place_of(address)
        if urlsplit(address).scheme not in _SCHEMES:
            raise StoreError("the address must be postgresql://user:password@host:port/name")
        try:
            self._pool = Pool(address, place=self._place, connections=connections)
        except asyncpg.PostgresError as error:
            raise explained(error, self._place) from error
        except Unavailable as error:
            raise StoreError(error.message) from error
        except ValueError:  # its text may contain part of the password
            raise StoreError(f"the address {self._place} has an invalid port") from None
        try:
            prepare(self._pool, self._place)
            self._pool.renew()
        except BaseException:
            self._pool.close()
            raise

    @property
    def place(self) -> str:
        """The server and its database."""
        return self._place

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Returns a writing connection; also waits for the writes of other services."""
        with self._pool.connection() as connection:
            connection.execute("BEGIN")
            try:
                connection.execute("SELECT pg_advisory_xact_lock(?)", (WRITE_LOCK,))
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._pool.roll_back(connection)
                raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Returns a connection; each statement reads the data committed when it starts."""
        with self._pool.connection() as connection:
            yield connection

    def _scrub_files(self) -> None:
        # Data beyond the tables, such as the server's log and its backups, is up to the server.
        with self._pool.connection() as connection:
            for table in _TABLES:
                connection.execute(f"VACUUM {table}")

    def close(self) -> None:
        """Closes the connections."""
        self._pool.close()


def place_of(address: str) -> str:
    """Returns an address without its secrets."""
    # A password may contain "/" or "?", after which a URL parser would look for the path.
    after_secrets = address.partition("://")[2].rpartition("@")[2].partition("?")[0]
    server, slash, name = after_secrets.partition("/")
    return f"postgresql://{server or 'localhost'}{slash}{name}"
