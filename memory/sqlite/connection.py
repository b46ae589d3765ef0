"""What the SQL of the memory needs of a database connection, whichever database it is."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol


class Cursor(Protocol):
    """The answer to a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""
        ...

    def fetchone(self) -> Any:
        """Gives the next row; None: there is none."""
        ...

    def fetchall(self) -> list[Any]:
        """Gives the rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """Runs statements; their parameters are `?`. `sqlite3.Connection` is one."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Runs a statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Runs a statement once for each set of parameters; `rowcount` is that of all."""
        ...
