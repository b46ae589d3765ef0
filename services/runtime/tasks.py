"""Tasks whose failure is never lost: the one place that starts tasks outside a `TaskGroup`.

A bare `asyncio.create_task` keeps an unexpected exception to itself until the task is collected,
while whoever waits for its work waits forever. So a task has an owner here:

- `beside` runs helpers for the length of a block, and a helper that fails ends the block;
- `first_of` runs work side by side until one of it ends, and cancels the rest;
- `Tasks` owns tasks that outlive the call that starts them, and reports failures to its owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from services.runtime.logs import get_logger

T = TypeVar("T")


@asynccontextmanager
async def beside(*helpers: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Runs helpers beside a block.

    The helpers are cancelled and awaited when the block ends. When a helper fails, the block is
    cancelled and the helper's exception is raised instead; a helper may also end early without an
    error.

    Args:
        *helpers: What runs beside the block.
        name: The name of the tasks, for debuggers and logs.

    Raises:
        Exception: What the block or the first failed helper raised, as it was raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(helper, name=name) for helper in helpers]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as failures:
        first, *others = failures.exceptions
        for other in others:
            get_logger().error("a second failure in the same place", task=name, exc_info=other)
        raise first from first.__cause__


async def first_of(*work: Coroutine[Any, Any, T], name: str = "first of") -> T:
    """Runs work side by side until one of it ends; the rest is cancelled and awaited.

    Args:
        *work: What runs; where several end at once, the one named first counts.
        name: The name of the tasks, for debuggers and logs.

    Returns:
        What the first one returned.

    Raises:
        Exception: What the first one raised, as it was raised.
    """
    tasks = [asyncio.create_task(each, name=name) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = next(task for task in tasks if task.done())
    finally:
        await cancelled(tasks)
    for task in tasks:
        if task is not first and not task.cancelled() and (error := task.exception()) is not None:
            get_logger().error("a second failure in the same place", task=name, exc_info=error)
    return first.result()


class Tasks:
    """Tasks that outlive the call that starts them.

    Args:
        name: Whose they are, for logs.
        on_failure: Called with the exception of a task that failed, after it was logged; the owner
            ends what depends on the task.
        logged: False where the owner raises the exception itself, to a caller who logs it.
    """

    def __init__(
        self,
        name: str,
        *,
        on_failure: Callable[[BaseException], None] = lambda _: None,
        logged: bool = True,
    ) -> None:
        self._name = name
        self._on_failure = on_failure
        self._logged = logged
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Coroutine[Any, Any, T], *, name: str = "") -> asyncio.Task[T]:
        """Starts a task and keeps it until it ends.

        Args:
            work: What to run.
            name: The name of the task, for debuggers and logs.
        """
        task = asyncio.create_task(work, name=name or self._name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def wait(self, *, timeout_s: float) -> None:
        """Waits until all tasks have ended, at most for a time."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout_s)

    async def close(self) -> None:
        """Cancels what still runs and waits for its end; failures on the way are reported."""
        await cancelled(self._running)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._logged:
            get_logger().error(
                "a task failed", owner=self._name, task=task.get_name(), exc_info=error
            )
        self._on_failure(error)


async def cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels tasks and waits for their end, without raising what they raise."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
