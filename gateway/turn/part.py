"""The parts of a turn: each works in one task, and stops those before it when it fails."""

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
        """Starts the work of the part as a task of the turn; its faults end the turn."""
        self._task = group.create_task(work, name=type(self).__name__.lower())

    @property
    def finished(self) -> bool:
        """True once the work is over, whether it succeeded, failed or was stopped."""
        return self._task is not None and self._task.done()

    def stop(self) -> None:
        """Stops the work: what it has handed on already is still played."""
        if self._task is not None:
            self._task.cancel()

    def stop_upstream(self) -> None:
        """Stops the parts before this one, as nothing is made of their output any more."""
        for part in self._upstream:
            part.stop()
