"""A bounded queue between two parts of a turn."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Pipe(Generic[T]):
    """Passes items in order from any number of writers to one reader.

    Hundreds of messages a second pass through the pipes of a few conversations. `asyncio.Queue`
    looks up the running loop on every wait, which is a system call in Python 3.11. A pipe belongs
    to the loop in which it was created.

    Args:
        limit: How many items are held before `put` waits.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._items: deque[T] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._writers: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    async def put(self, item: T) -> None:
        """Adds an item; waits while the pipe is full."""
        while len(self._items) >= self._limit:
            writer = self._loop.create_future()
            self._writers.append(writer)
            try:
                await writer
            except asyncio.CancelledError:
                if writer in self._writers:
                    self._writers.remove(writer)
                else:  # already woken, but it will not use the room: wake the next
                    self._wake_writer()
                raise
        self.put_now(item)

    def put_now(self, item: T) -> None:
        """Adds an item without waiting, even beyond the limit."""
        self._items.append(item)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> T:
        """Removes and returns the next item; waits until there is one."""
        while not self._items:
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self.get_now()

    def get_now(self) -> T:
        """Removes and returns the next item.

        Raises:
            IndexError: There is none.
        """
        item = self._items.popleft()
        self._wake_writer()
        return item

    def clear(self) -> int:
        """Drops all items and returns how many there were."""
        count = len(self._items)
        self._items.clear()
        for _ in range(len(self._writers)):
            self._wake_writer()
        return count

    def _wake_writer(self) -> None:
        while self._writers:
            writer = self._writers.popleft()
            if not writer.done():
                writer.set_result(None)
                return
