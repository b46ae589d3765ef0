"""The events that the client has not read yet: bounded, and cleared on interruption."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.wakeup import Changes

_DROPPED = frozenset({"media", "marks", "text_delta", "segment_started"})


class Outbox:
    """Events on their way to one reader.

    Args:
        max_events: How many events are held before `put` waits.
    """

    def __init__(self, *, max_events: int = 64) -> None:
        self._loop = asyncio.get_running_loop()
        self._max_events = max_events
        self._events: deque[pb.ConverseResponse] = deque()
        self._changes = Changes()
        self._epoch = 0
        self._finished = False
        self._error: BaseException | None = None
        self._unread_since: float | None = None

    def __len__(self) -> int:
        return len(self._events)

    @property
    def has_room(self) -> bool:
        """True if another event can be added without waiting."""
        return len(self._events) < self._max_events

    async def until_stalled(self, timeout_s: float) -> None:
        """Waits until the client has left events unread for `timeout_s`.

        Args:
            timeout_s: The time limit; a stall is detected up to a quarter of it later.
        """
        while True:
            await asyncio.sleep(timeout_s / 4)
            since = self._unread_since
            if since is not None and self._loop.time() - since >= timeout_s:
                return

    async def until_room(self, unread: int | None = None) -> None:
        """Waits until there is room for another event.

        Args:
            unread: How many other events may be unread; None: the limit of the outbox.
        """
        room = self._max_events if unread is None else unread + 1
        while len(self._events) >= room and not self._finished:
            await self._changes.next()

    async def put(self, event: pb.ConverseResponse) -> None:
        """Adds an event; waits while the reader is behind."""
        await self.until_room()
        self.post(event)

    def post(self, event: pb.ConverseResponse, *, urgent: bool = False) -> None:
        """Adds an event without waiting; only for callers that have already waited for room.

        Args:
            event: The event.
            urgent: It overtakes all events that have not been read.
        """
        if not self._finished and not self._is_stale(event):
            if urgent:
                self._events.appendleft(event)
            else:
                self._events.append(event)
            if self._unread_since is None:
                self._unread_since = self._loop.time()
            self._changes.tell()

    def drop_below(self, epoch: int) -> int:
        """Drops media, marks, text and segments of old epochs, unread and future ones.

        Args:
            epoch: The new epoch.

        Returns:
            How many unread events were dropped.
        """
        self._epoch = epoch
        kept = [event for event in self._events if not self._is_stale(event)]
        count = len(self._events) - len(kept)
        self._events = deque(kept)
        self._changes.tell()
        return count

    def finish(self, error: BaseException | None = None) -> None:
        """Ends the events after the queued ones; an error is raised in the reader at once."""
        if error is not None:
            self._events.clear()
        self._error = self._error or error
        self._finished = True
        self._changes.tell()

    async def read(self) -> AsyncIterator[pb.ConverseResponse]:
        """Yields the events in order until they are finished."""
        while True:
            while not self._events:
                if self._error is not None:
                    raise self._error
                if self._finished:
                    return
                await self._changes.next()
            event = self._events.popleft()
            self._unread_since = self._loop.time() if self._events else None
            self._changes.tell()
            yield event

    def _is_stale(self, event: pb.ConverseResponse) -> bool:
        if not self._epoch:  # there was no interruption yet
            return False
        kind = event.WhichOneof("event")
        return kind in _DROPPED and getattr(event, kind).header.epoch < self._epoch
