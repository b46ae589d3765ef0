"""The parts of a turn: each runs in one task, and stops its upstream parts when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Part:
    """A part of a turn.

    Args:
        *upstream: The parts whose output this one works on, directly or not.
    """

    def __init__(self, *upstream: Part) -> None:
        self._upstream = upstream
        self._task: asyncio.Task[None] | None = None

    def start(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
        """Starts the work of the part as a task of the turn; an exception in it ends the turn."""
        self._task = group.create_task(work, name=type(self).__name__.lower())

    @property
    def finished(self) -> bool:
        """True once the work is over, whether it succeeded, failed or was stopped."""
        return self._task is not None and self._task.done()

    def stop(self) -> None:
        """Stops the work; output that was already handed on is still played."""
        if self._task is not None:
            self._task.cancel()

    def stop_upstream(self) -> None:
        """Stops the upstream parts, because their output is no longer used."""
        for part in self._upstream:
            part.stop()
