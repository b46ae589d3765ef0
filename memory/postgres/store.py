"""The truth of the memory in PostgreSQL, which several services may share."""

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
    """Items of all users in a database of PostgreSQL. Safe for threads and for other services."""

    def __init__(self, address: str, *, connections: int) -> None:
        """Connects, and makes the tables that are missing.

        Args:
            address: As `postgresql://user:password@host:port/database`.
            connections: The most connections at the same time.

        Raises:
            StoreError: The server cannot be used; the text says why, without the password.
        """
        self._place = place_of(address)
        if urlsplit(address).scheme not in _SCHEMES:
            raise StoreError("the address is not postgresql://user:password@host:port/name")
        try:
            self._pool = Pool(address, place=self._place, connections=connections)
        except asyncpg.PostgresError as error:
            raise explained(error, self._place) from error
        except Unavailable as error:
            raise StoreError(error.message) from error
        except ValueError:  # Its text may repeat a part of the password.
            raise StoreError(f"the address {self._place} has a wrong port") from None
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
        """Gives a connection that writes; waits for the writes of other services too."""
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
        """Gives a connection; each statement reads what is committed when it begins."""
        with self._pool.connection() as connection:
            yield connection

    def _scrub_files(self) -> None:
        # What lies beyond the tables, such as the server's log and its copies, is the server's.
        with self._pool.connection() as connection:
            for table in _TABLES:
                connection.execute(f"VACUUM {table}")

    def close(self) -> None:
        """Closes the connections."""
        self._pool.close()


def place_of(address: str) -> str:
    """Gives an address without its secrets."""
    # A password may contain "/" or "?", after which a parser of URLs would look for the path.
    after_secrets = address.partition("://")[2].rpartition("@")[2].partition("?")[0]
    server, slash, name = after_secrets.partition("/")
    return f"postgresql://{server or 'localhost'}{slash}{name}"
