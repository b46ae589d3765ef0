"""Connections that have not sent the whole head of a request.

Anybody who reaches the port can open them. Here they cost a descriptor and a small object: a
transport, a parser and a timer are made once the head is complete. All of them wait in a selector
of their own. In a flood it is read at intervals, so that the event loop does not wake up for each
event.
"""

from __future__ import annotations

import asyncio
import collections
import errno
import re
import selectors
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.http.connection.connections import report_closed
from gateway.http.connection.places import AddressGroups, Places
from services.runtime.limits.bucket import TokenBucket
from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import beside

_NOTHING_LEFT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 1.0
_AT_A_TIME: Final = 128
_WAKEUPS: Final = 32
"""So many events are served at once, and as many more each second."""
_LOOK_EVERY_S: Final = 0.025
_SWEEP_S: Final = 1.0
_READ_BYTES: Final = 16 * 1024
_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")
_LONGEST_END: Final = 3


@dataclass(eq=False, slots=True)
class Visitor:
    """One connection that waits.

    Attributes:
        connection: Its socket.
        deadline_s: When it is closed, on the clock of the event loop.
        head: What it has sent so far.
        watched: Whether the selector watches it.
    """

    connection: socket.socket
    deadline_s: float
    head: bytes = b""
    watched: bool = False


class WaitingRoom:
    """Accepts connections and hands them on when a client has sent the head of a request.

    Args:
        most: The most connections that wait; the oldest one is closed for a new one.
        per_address: The same for one address.
        groups: Which addresses count as one.
        first_byte_timeout_s: How long a client may be silent.
        head_timeout_s: How long the rest of the head may take.
        admit: Takes a connection with the bytes that were read from it.
        make_room: Closes a connection that was handed on when no descriptor is left; returns False
            if there is none to close.
    """

    def __init__(
        self,
        *,
        most: int,
        per_address: int,
        groups: AddressGroups,
        first_byte_timeout_s: float,
        head_timeout_s: float,
        admit: Callable[[socket.socket, bytes], Awaitable[None]],
        make_room: Callable[[], bool],
    ) -> None:
        self._places: Places[Visitor] = Places(most=most, per_group=per_address)
        self._groups = groups
        self._first_byte_timeout_s = first_byte_timeout_s
        self._head_timeout_s = head_timeout_s
        self._sweep_s = min(_SWEEP_S, first_byte_timeout_s / 4, head_timeout_s / 4)
        self._admit = admit
        self._make_room = make_room
        self._selector = selectors.DefaultSelector()
        # A visitor keeps its place while it is in the queue, which bounds the queue.
        self._complete: asyncio.Queue[Visitor] = asyncio.Queue()
        self._evicted: collections.Counter[str] = collections.Counter()
        self._wakeups = TokenBucket(per_second=_WAKEUPS, burst=_WAKEUPS)
        self._pause_s = _FIRST_PAUSE_S
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._places) + self._complete.qsize()

    async def serve(self, listeners: Sequence[socket.socket]) -> None:
        """Accepts connections until it is cancelled; then those that wait are closed.

        Args:
            listeners: Sockets that listen and do not block.
        """
        self._loop = asyncio.get_running_loop()
        for listener in listeners:
            self._selector.register(listener, selectors.EVENT_READ)
        self._watch()
        try:
            async with beside(self._sweep_for_ever(), name="http-waiting"):
                while True:
                    visitor = await self._complete.get()
                    await self._admit(visitor.connection, visitor.head)
        finally:
            self._rest()
            for visitor in list(self._places):
                self._leave(visitor)
                visitor.connection.close()
            while not self._complete.empty():
                self._complete.get_nowait().connection.close()
            self._selector.close()

    def _watch(self) -> None:
        self._timer = None
        self._loop.add_reader(self._selector.fileno(), self._on_event)

    def _rest(self) -> None:
        self._loop.remove_reader(self._selector.fileno())
        if self._timer is not None:
            self._timer.cancel()

    def _on_event(self) -> None:
        """Serves the sockets; in a flood, later events are looked for every few milliseconds."""
        if not self._serve_sockets():
            self._rest()
            self._timer = self._loop.call_later(_LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._serve_sockets()
        if self._wakeups.left() < _WAKEUPS / 2:
            self._timer = self._loop.call_later(_LOOK_EVERY_S, self._look)
        else:
            self._watch()

    def _serve_sockets(self) -> bool:
        """Serves what is ready; returns False if events follow each other as in a flood."""
        ready = self._selector.select(0)
        calm = not ready or self._wakeups.take()
        for key, _ in ready:
            if key.data is None:
                self._accept(key.fileobj)  # type: ignore[arg-type]
            elif key.data in self._places:  # it was not closed for one before it
                self._read(key.data)
        return calm

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(max(0, _AT_A_TIME - self._complete.qsize())):
            try:
                connection, peer = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NOTHING_LEFT:
                    self._without_descriptors(listener, error)
                    return
                continue  # the client has gone, or its network failed
            self._pause_s = _FIRST_PAUSE_S
            self._enter(connection, str(peer[0]) if peer else "")

    def _enter(self, connection: socket.socket, address: str) -> None:
        group = self._groups.of(address)
        if in_the_way := self._places.in_the_way(group, others=self._complete.qsize()):
            visitor, reason = in_the_way
            self._evict(visitor, reason)
        visitor = Visitor(connection, self._loop.time() + self._first_byte_timeout_s)
        self._places.add(visitor, group)
        self._read(visitor)

    def _read(self, visitor: Visitor) -> None:
        try:
            data = visitor.connection.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._wait(visitor)
            return
        except OSError:
            data = b""
        if not data:
            self._leave(visitor)
            visitor.connection.close()
            return
        if not visitor.head:
            visitor.deadline_s = self._loop.time() + self._head_timeout_s
        searched = max(0, len(visitor.head) - _LONGEST_END)
        visitor.head += data
        # The parser rejects bytes that are not HTTP, and a head that is too long.
        if (
            not visitor.head[:1].isupper()
            or len(visitor.head) >= _READ_BYTES
            or _END_OF_HEAD.search(visitor.head, searched)
        ):
            self._leave(visitor)
            self._complete.put_nowait(visitor)
        else:
            self._wait(visitor)

    def _wait(self, visitor: Visitor) -> None:
        if not visitor.watched:
            visitor.watched = True
            self._selector.register(visitor.connection, selectors.EVENT_READ, visitor)

    def _leave(self, visitor: Visitor) -> None:
        self._places.remove(visitor)
        if visitor.watched:
            visitor.watched = False
            self._selector.unregister(visitor.connection)

    def _evict(self, visitor: Visitor, reason: str) -> None:
        self._evicted[reason] += 1
        self._leave(visitor)
        visitor.connection.close()

    def _without_descriptors(self, listener: socket.socket, error: OSError) -> None:
        """Closes a connection for the next one, or stops accepting for a while."""
        oldest = self._places.oldest()
        if oldest is not None:
            self._evict(oldest, "full")
        made_room = oldest is not None or self._make_room()
        get_logger().error("no connection can be accepted", problem=str(error), made_room=made_room)
        # The descriptor of a connection that was closed is free after one round of the loop.
        self._pause_s = _FIRST_PAUSE_S if made_room else min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._selector.unregister(listener)
        self._loop.call_later(self._pause_s, self._accept_again, listener)

    def _accept_again(self, listener: socket.socket) -> None:
        if self._selector.get_map() is not None:  # it was not closed meanwhile
            self._selector.register(listener, selectors.EVENT_READ)

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_s)
            now_s = self._loop.time()
            for visitor in [each for each in self._places if each.deadline_s <= now_s]:
                self._evict(visitor, "head")
            for reason, count in self._evicted.items():
                report_closed(reason, count)
            self._evicted.clear()
