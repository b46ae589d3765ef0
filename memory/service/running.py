"""Runs database work in threads and converts its errors to errors for callers."""

import sqlite3
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from memory.service.faults import StoreError, service_error
from services.runtime.observing.logs import get_logger
from services.runtime.process.compute import Compute

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseRunner:
    """Runs functions that use the database.

    Args:
        place: The location of the database, for errors; without secrets.
    """

    def __init__(self, place: str) -> None:
        self._place = place

    async def __call__(
        self, compute: Compute, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs a function in a thread and returns its result.

        Raises:
            AnimaError: The database fails.
        """
        try:
            return await compute.run(function, *args, **kwargs)
        except (StoreError, sqlite3.Error) as error:
            get_logger().error("database error", exc_info=error)
            raise service_error(error, self._place) from error
