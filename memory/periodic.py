"""Work in the background that is done again and again."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from services.runtime.logs import get_logger


class Periodic:
    """Does its work from `start` to `stop`; a failure, a full disk say, waits for the next time.

    Args:
        work: What is done.
        every_s: The pause between two times, s.
        first_s: The pause before the first time, s.
        on_failure: What the log says of a failure.
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
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends, in the middle of the work too; without effect if it has not begun."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        await asyncio.sleep(self._first_s)
        while True:
            try:
                await self._work()
            except Exception as error:
                get_logger().error(self._on_failure, exc_info=error)
            await asyncio.sleep(self._every_s)
