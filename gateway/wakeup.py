"""Waiting until something has changed."""

from __future__ import annotations

import asyncio


class Changes:
    """Wakes all who wait; a change that nobody waits for costs next to nothing.

    Several hundred changes a second are told to nobody: an `asyncio.Event` made anew for each would
    be a good part of what a message costs.
    """

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def tell(self) -> None:
        """Wakes whoever waits now."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def next(self) -> None:
        """Waits until the next change."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter
