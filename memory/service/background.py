"""Background work of the memory."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import Tasks


class Background(Protocol):
    """Work that runs from `start` to `stop`."""

    def start(self) -> None:
        """Starts the work."""
        ...

    async def stop(self) -> None:
        """Stops the work, even in the middle; has no effect if it was not started."""
        ...


class Once:
    """Runs its work once.

    Args:
        work: The work; it handles its own failures.
        name: The name of the work, for logs.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        self._work = work
        self._tasks = Tasks(name)

    def start(self) -> None:
        """Starts the work."""
        self._tasks.start(self._work())

    async def stop(self) -> None:
        """Stops the work, even in the middle."""
        await self._tasks.close()


class Periodic:
    """Repeats its work; a failure, such as a full disk, is logged and retried the next time.

    Args:
        work: The work.
        every_s: The pause between two runs, s.
        first_s: The pause before the first run, s.
        on_failure: The log message of a failure.
    """

    def __init__(
        self,
        work: Callable[[], Awaitable[object]],
        *,
        every_s: float,
        first_s: float = 0.0,
        on_failure: str,
    ) -> None:
        self._work = work
        self._every_s = every_s
        self._first_s = first_s
        self._on_failure = on_failure
        self._tasks = Tasks("memory-periodic")

    def start(self) -> None:
        """Starts the work."""
        self._tasks.start(self._run())

    async def stop(self) -> None:
        """Stops the work, even in the middle; has no effect if it was not started."""
        await self._tasks.close()

    async def _run(self) -> None:
        await asyncio.sleep(self._first_s)
        while True:
            try:
                await self._work()
            except Exception as error:
                get_logger().error(self._on_failure, exc_info=error)
            await asyncio.sleep(self._every_s)
