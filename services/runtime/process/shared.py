"""Work that several callers wait for at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from services.runtime.process.tasks import Tasks

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Work(Generic[V]):
    def __init__(self, task: asyncio.Task[V]) -> None:
        self.task = task
        self.waiters = 0


class SharedWork(Generic[K, V]):
    """Does the work for a key once for all who wait for it, and cancels it when the last has gone.

    Results are not kept: who asks after the end of the work starts it again.

    Args:
        name: The name of the tasks, for debuggers and logs.
    """

    def __init__(self, name: str) -> None:
        self._tasks = Tasks(name, logged=False)
        self._running: dict[K, _Work[V]] = {}

    def __len__(self) -> int:
        return len(self._running)

    async def get(self, key: K, make: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Waits for the work of a key.

        Args:
            key: What tells one work from another.
            make: Starts the work, unless it is running already.

        Raises:
            Exception: The exception of the work, unchanged.
        """
        work = self._running.get(key)
        if work is None:
            work = self._running[key] = _Work(self._tasks.start(self._do(key, make)))
        work.waiters += 1
        try:
            return await asyncio.shield(work.task)
        finally:
            work.waiters -= 1
            if not work.waiters and not work.task.done():
                # Who asks while the work is being cancelled gets another one.
                self._forget(key, work.task)
                work.task.cancel()

    async def close(self) -> None:
        """Cancels what is running."""
        await self._tasks.close()

    async def _do(self, key: K, make: Callable[[], Coroutine[Any, Any, V]]) -> V:
        try:
            return await make()
        finally:
            self._forget(key, asyncio.current_task())

    def _forget(self, key: K, task: asyncio.Task[V] | None) -> None:
        work = self._running.get(key)
        if work is not None and work.task is task:
            del self._running[key]
