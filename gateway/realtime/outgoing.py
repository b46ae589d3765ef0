"""The send queue of one client: bounded, so that a slow client is disconnected, not buffered."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass


class ClientTooSlowError(Exception):
    """The client reads so slowly that its queue has reached the limit."""


@dataclass(frozen=True)
class Message:
    """A queued message.

    Attributes:
        data: Text for a JSON event, bytes for media.
        epoch: The epoch of media; None if the message must be delivered in any case.
    """

    data: str | bytes
    epoch: int | None = None


class Outgoing:
    """The queue of one connection, with one reader.

    Args:
        max_bytes: The most bytes that wait.
        max_messages: The most messages that wait.
    """

    def __init__(self, *, max_bytes: int, max_messages: int) -> None:
        self._max_bytes = max_bytes
        self._max_messages = max_messages
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._finished = False

    def put(self, message: Message) -> None:
        """Adds a message.

        Raises:
            ClientTooSlowError: The limit is reached.
        """
        full = len(self._messages) >= self._max_messages
        if full or self._bytes + len(message.data) > self._max_bytes:
            raise ClientTooSlowError(
                f"{len(self._messages)} messages of {self._bytes} bytes wait to be read"
            )
        self._messages.append(message)
        self._bytes += len(message.data)
        self._filled.set()

    def drop_before(self, epoch: int) -> None:
        """Drops media of older epochs."""
        kept = [m for m in self._messages if m.epoch is None or m.epoch >= epoch]
        self._messages = deque(kept)
        self._bytes = sum(len(message.data) for message in kept)

    def finish(self) -> None:
        """Ends the queue after the waiting messages."""
        self._finished = True
        self._filled.set()

    async def read(self) -> AsyncIterator[Message]:
        """Yields the messages in order until the queue is finished."""
        while True:
            while self._messages:
                message = self._messages.popleft()
                self._bytes -= len(message.data)
                yield message
            if self._finished:
                return
            self._filled.clear()
            await self._filled.wait()
