"""A wake-up for tasks that wait for a change."""

from __future__ import annotations

import asyncio


class Changes:
    """Wakes all waiting tasks; a change that no task waits for costs almost nothing.

    It belongs to the event loop in which it was created.

    Several hundred changes a second have no waiter; creating an `asyncio.Event` for each would be a
    large part of the cost of a message.
    """

    def __init__(self) -> None:
        # asyncio looks up the running loop with a system call in Python 3.11.
        self._loop = asyncio.get_running_loop()
        self._waiting: list[asyncio.Future[None]] = []

    def tell(self) -> None:
        """Wakes the tasks that are waiting now."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def next(self) -> None:
        """Waits until the next change."""
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        await waiter
