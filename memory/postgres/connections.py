"""Connections to PostgreSQL for threads: asyncpg on its own event loop.

psycopg with its pool would need less code here, because it has a blocking interface. Its licence is
LGPL-3.0, which not every company accepts; asyncpg has the Apache-2.0 licence.
"""

import asyncio
import struct
import threading
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import asyncpg
import numpy as np

from memory.postgres.dialect import statement
from memory.postgres.faults import FAULTS, LOST, fault
from services.runtime.errors import AnimaError, Unavailable

T = TypeVar("T")

SCHEMA = "anima"
"""The schema of the tables, so that the database can also be used for something else."""
_COMMAND_TIMEOUT_S = 60.0
_CONNECT_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 10.0
# Of pgvector's binary format: the number of dimensions, and two bytes that are 0.
_VECTOR_HEADER = struct.Struct(">HH")


class Answer:
    """The rows that a statement returned, or the number of rows it changed."""

    def __init__(self, rows: Sequence[Any], rowcount: int) -> None:
        self._rows = iter(rows)
        self.rowcount = rowcount

    def fetchone(self) -> Any:
        """Returns the next row; None at the end."""
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        """Returns the remaining rows."""
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows


class PostgresConnection:
    """A `memory.sqlite.connection.Connection`; must be used by one thread at a time."""

    def __init__(self, pool: "Pool", connection: Any) -> None:
        self._pool = pool
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Answer:
        """Runs a statement in SQLite's dialect."""
        return self._pool.run(self._execute(statement(sql), parameters))

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Answer:
        """Runs a statement once for each set of parameters."""
        return self._pool.run(self._execute_many(statement(sql), parameters))

    def run_script(self, script: str) -> None:
        """Runs statements without parameters, in PostgreSQL's dialect."""
        self._pool.run(self._connection.execute(script))

    async def _execute(self, sql: str, parameters: Sequence[Any]) -> Answer:
        values = map(_parameter, parameters)
        if sql.startswith("SELECT") or " RETURNING " in sql:
            rows = await self._connection.fetch(sql, *values)
            return Answer(rows, len(rows))
        return Answer((), _count(await self._connection.execute(sql, *values)))

    async def _execute_many(self, sql: str, parameters: Iterable[Sequence[Any]]) -> Answer:
        if sql.startswith("INSERT"):  # sent at once; no caller needs the row count
            values = [list(map(_parameter, some)) for some in parameters]
            await self._connection.executemany(sql, values)
            return Answer((), len(values))
        counts = [
            _count(await self._connection.execute(sql, *map(_parameter, some)))
            for some in parameters
        ]
        return Answer((), sum(counts))


class Pool:
    """A bounded number of connections. Thread-safe."""

    def __init__(self, address: str, *, place: str, connections: int) -> None:
        """Connects.

        Args:
            address: As `postgresql://user:password@host:port/database`.
            place: The same without secrets, for error texts.
            connections: The maximum number of connections.

        Raises:
            Unavailable: The server does not answer.
            asyncpg.PostgresError: The server rejects the connection.
        """
        self._place = place
        self._gate = threading.Lock()
        self._stopped = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="memory-postgres", daemon=True
        )
        self._thread.start()
        try:
            self._pool = self._wait(self._opened(address, connections))
        except BaseException as error:
            self._stop()
            if isinstance(error, (*LOST, TimeoutError)):
                raise fault(error, place) from error
            raise

    async def _opened(self, address: str, connections: int) -> Any:
        pool = await asyncpg.create_pool(
            address,
            min_size=0,
            max_size=connections,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=_COMMAND_TIMEOUT_S,
            init=_prepare,
            # There is nothing to reset: transactions end before a connection is returned.
            reset=_keep,
            server_settings={"search_path": f"{SCHEMA},public", "application_name": "anima-memory"},
        )
        try:
            await pool.release(await pool.acquire())
        except BaseException:
            pool.terminate()
            raise
        return pool

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the loop of the connections and waits for it.

        Raises:
            AnimaError: The database fails.
            sqlite3.IntegrityError: A unique constraint is violated.
        """
        try:
            return self._wait(work)
        except (*FAULTS, TimeoutError) as error:
            raise fault(error, self._place) from error

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        with self._gate:
            if self._stopped:
                work.close()
                raise Unavailable(f"the memory's database {self._place} is closed")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result()

    @contextmanager
    def connection(self) -> Iterator[PostgresConnection]:
        """Lends a connection."""
        connection = self.run(self._borrowed())
        try:
            yield PostgresConnection(self, connection)
        finally:
            with suppress(AnimaError):  # a lost connection cannot be returned
                self.run(self._pool.release(connection))

    async def _borrowed(self) -> Any:
        return await self._pool.acquire()

    def roll_back(self, connection: PostgresConnection) -> None:
        """Rolls back a transaction; if its connection is lost, this has already happened."""
        with suppress(AnimaError):
            connection.execute("ROLLBACK")

    def renew(self) -> None:
        """Reopens the connections at their next use, because only then they learn new types."""
        self.run(self._pool.expire_connections())

    def close(self) -> None:
        """Closes the connections once all borrowed ones are returned."""
        try:
            self._wait(self._shut())
        finally:
            self._stop()

    async def _shut(self) -> None:
        try:
            await asyncio.wait_for(self._pool.close(), _CLOSE_TIMEOUT_S)
        except TimeoutError:
            self._pool.terminate()

    def _stop(self) -> None:
        with self._gate:
            self._stopped = True
        # A thread that is still waiting must not wait forever.
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _keep(connection: Any) -> None:
    pass


async def _prepare(connection: Any) -> None:
    schema = await connection.fetchval(
        "SELECT nspname FROM pg_type JOIN pg_namespace ON pg_namespace.oid = typnamespace"
        " WHERE typname = 'vector'"
    )
    if schema is not None:
        await connection.set_type_codec(
            "vector", schema=schema, encoder=_sent_vector, decoder=_read_vector, format="binary"
        )


def _sent_vector(blob: bytes) -> bytes:
    numbers = np.frombuffer(blob, dtype="<f4")
    return _VECTOR_HEADER.pack(len(numbers), 0) + numbers.astype(">f4").tobytes()


def _read_vector(content: bytes) -> bytes:
    numbers = np.frombuffer(content, dtype=">f4", offset=_VECTOR_HEADER.size)
    return numbers.astype("<f4").tobytes()


def _parameter(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _count(status: str) -> int:
    # "DELETE 3", "INSERT 0 1"; "BEGIN" has none.
    last = status.rsplit(" ", 1)[-1]
    return int(last) if last.isdigit() else 0
