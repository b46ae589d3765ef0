"""Tasks whose failure is never lost: the one place that starts tasks outside a `TaskGroup`.

A bare `asyncio.create_task` hides an unexpected exception until the task is collected, while
callers that wait for its work wait forever. So here every task has an owner:

- `beside` runs helpers for the duration of a block, and a failed helper ends the block;
- `first_of` runs several coroutines until one of them ends, and cancels the rest;
- `Tasks` owns tasks that outlive the call that starts them, and reports failures to its owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from services.runtime.observing.logs import get_logger

T = TypeVar("T")


@asynccontextmanager
async def beside(*helpers: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Runs helpers beside a block.

    The helpers are cancelled and awaited when the block ends. When a helper fails, the block is
    cancelled and the helper's exception is raised instead; a helper may also end early without an
    error.

    Args:
        *helpers: The coroutines to run beside the block.
        name: The name of the tasks, for debuggers and logs.

    Raises:
        Exception: The exception of the block or of the first failed helper, unchanged.
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
    """Runs several coroutines until one of them ends; the rest are cancelled and awaited.

    Args:
        *work: The coroutines; if several end at once, the one listed first wins.
        name: The name of the tasks, for debuggers and logs.

    Returns:
        The result of the first one.

    Raises:
        Exception: The exception of the first one, unchanged.
    """
    tasks = [asyncio.create_task(each, name=name) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = next(task for task in tasks if task.done())
    except asyncio.CancelledError:
        await cancelled(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()  # the reason is that of the cancel; asyncio would log this one
        raise
    await cancelled(tasks)
    for task in tasks:
        if task is not first and not task.cancelled() and (error := task.exception()) is not None:
            get_logger().error("a second failure in the same place", task=name, exc_info=error)
    return first.result()


class Tasks:
    """Tasks that outlive the call that starts them.

    Args:
        name: The name of the owner, for logs.
        on_failure: Called with the exception of a failed task after it was logged; the owner
            ends what depends on the task.
        logged: False if the owner raises the exception itself, to a caller that logs it.
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
            work: The coroutine to run.
            name: The name of the task, for debuggers and logs.
        """
        task = asyncio.create_task(work, name=name or self._name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def wait(self, *, timeout_s: float) -> None:
        """Waits until all tasks have ended or the timeout has passed."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout_s)

    async def close(self) -> None:
        """Cancels the running tasks and waits for them; failures meanwhile are reported."""
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
    """Cancels tasks and waits for their end, without raising their exceptions."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
