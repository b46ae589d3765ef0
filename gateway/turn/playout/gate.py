"""The gate between an answer and the client: shut while the answer is speculative.

Events of an answer that is not confirmed yet are held here, bounded. A discarded answer is dropped
together with its gate, and the client receives nothing of it.
"""

from __future__ import annotations

import asyncio

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.turn.playout.outbox import Outbox

_MAX_HELD = 64


class Gate:
    """Passes the events of one answer on to the outbox once it is open.

    Args:
        outbox: Where the events go.
        is_open: False: events are held until `open`.
    """

    def __init__(self, outbox: Outbox, *, is_open: bool) -> None:
        self._outbox = outbox
        self._held: list[pb.ConverseResponse] = []
        self._opened = asyncio.Event()
        if is_open:
            self._opened.set()

    @property
    def is_open(self) -> bool:
        """True once events go through."""
        return self._opened.is_set()

    @property
    def has_room(self) -> bool:
        """True if an event may be added without waiting."""
        return self._outbox.has_room if self.is_open else len(self._held) < _MAX_HELD

    def open(self) -> None:
        """Passes everything on, the held events first."""
        held, self._held = self._held, []
        for event in held:
            self._outbox.post(event)
        self._opened.set()

    async def until_open(self) -> None:
        """Waits until events go through."""
        await self._opened.wait()

    async def until_room(self, unread: int | None = None) -> None:
        """Waits while the reader is behind, or the gate is shut and full.

        Args:
            unread: How many events may be unread; None: the limit of the outbox.
        """
        if not self.is_open and len(self._held) >= _MAX_HELD:
            await self._opened.wait()
        if self.is_open:
            await self._outbox.until_room(unread)

    async def put(self, event: pb.ConverseResponse) -> None:
        """Adds an event; waits while the reader is behind, or the gate is shut and full."""
        await self.until_room()
        self.post(event)

    def post(self, event: pb.ConverseResponse, *, urgent: bool = False) -> None:
        """Adds an event without waiting; an urgent one overtakes those that are not read yet."""
        if self.is_open:
            self._outbox.post(event, urgent=urgent)
        else:
            self._held.append(event)

    def drop_below(self, epoch: int) -> int:
        """Drops events of old epochs, as `Outbox.drop_below` does."""
        return self._outbox.drop_below(epoch)
