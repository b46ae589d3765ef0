"""Counts how often background work fails on an item, so that one item does not block others.

After three attempts the item is set aside. Another version of the program, or of its rules, tries
it again. If everything fails, the items are not the cause, and nothing is counted.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Literal

from memory.service import metrics
from memory.service.faults import StoreError
from memory.store import Truth
from services.runtime.errors import Busy, Unavailable
from services.runtime.observing.logs import get_logger
from services.runtime.process.compute import Compute

MOST_ATTEMPTS: Final = 3
SET_ASIDE: Final = (
    "EXISTS (SELECT 1 FROM work_failure WHERE work_failure.item = item.id"  # noqa: S608
    " AND work_failure.work = ? AND work_failure.version = ?"
    f" AND work_failure.attempts >= {MOST_ATTEMPTS})"
)
"""The condition that a row of `item` is set aside; its parameters are `Attempts.parameters`."""
_ALL_FAIL: Final = 10
_COUNT: Final = (
    "INSERT INTO work_failure (work, item, version, attempts)"
    " SELECT CAST(? AS TEXT), id, CAST(? AS TEXT), 1 FROM item WHERE id = ?"
    " ON CONFLICT (work, item) DO UPDATE SET attempts ="
    " CASE WHEN work_failure.version = excluded.version THEN work_failure.attempts + 1 ELSE 1 END,"
    " version = excluded.version"
)


class EverythingFailsError(Exception):
    """The first items of a run all failed, so the items are not the cause."""


class Attempts:
    """The failed attempts of one kind of work.

    Args:
        store: Stores the counts.
        work: The kind of work: extracting facts, making summaries, or computing vectors.
        rules: The version of the rules that are used.
    """

    def __init__(
        self, store: Truth, work: Literal["facts", "summaries", "vectors"], rules: str
    ) -> None:
        self._store = store
        self.work = work
        self._version = f"{rules} of {version('anima')}"

    @property
    def parameters(self) -> tuple[str, str]:
        """The parameters of `SET_ASIDE`."""
        return self.work, self._version

    def set_aside(self) -> set[int]:
        """Returns the rows of all items that are set aside."""
        with self._store.reading() as connection:
            found = connection.execute(
                "SELECT item FROM work_failure WHERE work = ? AND version = ? AND attempts >= ?",
                (*self.parameters, MOST_ATTEMPTS),
            )
            return {row[0] for row in found}

    def count(self, row_ids: Sequence[int]) -> int:
        """Counts a failed attempt at items; returns their number of attempts, 0 if all are gone."""
        places = ", ".join("?" * len(row_ids))
        with self._store.transaction() as connection:
            connection.executemany(_COUNT, [(*self.parameters, row) for row in row_ids])
            (attempts,) = connection.execute(
                f"SELECT max(attempts) FROM work_failure WHERE work = ? AND item IN ({places})",  # noqa: S608
                (self.work, *row_ids),
            ).fetchone()
        return attempts or 0


@dataclass(frozen=True, slots=True)
class _Failure:
    row_ids: Sequence[int]
    error: Exception


class Run:
    """One run of background work over many items.

    Args:
        attempts: Records the failures.
        writing: Runs database writes.
    """

    def __init__(self, attempts: Attempts, writing: Compute) -> None:
        self._attempts = attempts
        self._writing = writing
        self._uncounted: list[_Failure] = []
        self._has_succeeded = False
        self._is_done = True

    async def succeeded(self) -> None:
        """Records a success; so the items that failed are themselves the cause."""
        self._has_succeeded = True
        await self._count()

    async def failed(self, row_ids: Sequence[int], error: Exception) -> None:
        """Records a failure for some items.

        Raises:
            Exception: The original error, if the state of the database caused it.
            EverythingFailsError: Nothing has succeeded in this run, and much has failed.
        """
        if isinstance(error, (StoreError, sqlite3.OperationalError, Busy, Unavailable)):
            raise error
        self._uncounted.append(_Failure(row_ids, error))
        if self._has_succeeded:
            await self._count()
        elif len(self._uncounted) >= _ALL_FAIL:
            raise EverythingFailsError(
                f"{self._attempts.work}: the first {_ALL_FAIL} attempts have failed"
            ) from error

    async def end(self) -> bool:
        """Ends the run; returns whether everything is done and nothing has to be tried again."""
        await self._count()
        return self._is_done

    async def _count(self) -> None:
        failures, self._uncounted = self._uncounted, []
        for failure in failures:
            attempts = await self._writing.run(self._attempts.count, failure.row_ids)
            is_aside = attempts >= MOST_ATTEMPTS
            if is_aside:
                metrics.SET_ASIDE.labels(self._attempts.work).inc(len(failure.row_ids))
            else:
                self._is_done = False
            # Without the error's text, which may quote the item.
            get_logger().error(
                "background work failed on an item",
                work=self._attempts.work,
                attempts=attempts,
                set_aside=is_aside,
                error=type(failure.error).__name__,
                rows=list(failure.row_ids),
            )
