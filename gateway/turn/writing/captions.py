"""The text of an answer on its way to the client: first words at once, then at reading pace.

A model writes 20 to 100 tokens a second, and a message for each of them costs the gateway more than
the rest of the answer; nobody reads faster than ten times a second.
"""

from __future__ import annotations

import asyncio

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.turn.events import TurnEvents
from gateway.turn.playout.gate import Gate
from gateway.turn.state import TurnState

_INTERVAL_S = 0.1


class Captions:
    """Sends the text of one answer, at most ten times a second.

    Args:
        state: The answer; its `text` is what has been added so far.
        events: The numbering of messages.
        outbox: The destination of messages.
    """

    def __init__(self, state: TurnState, *, events: TurnEvents, outbox: Gate) -> None:
        self._state = state
        self._events = events
        self._outbox = outbox
        self._loop = asyncio.get_running_loop()
        self._sent_chars = 0
        self._next_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    async def add(self, text: str) -> None:
        """Takes more text; waits while the client is behind."""
        if not self._outbox.has_room:
            await self._outbox.until_room()
        self._state.text += text
        if self._loop.time() >= self._next_at:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_at(self._next_at, self.flush)

    def flush(self) -> None:
        """Sends what has been added and not yet sent."""
        self.close()
        text, start_char = self._state.text, self._sent_chars
        if len(text) == start_char:
            return
        self._sent_chars = len(text)
        self._next_at = self._loop.time() + _INTERVAL_S
        delta = pb.TextDelta(
            header=self._events.numbered("text"), text=text[start_char:], start_char=start_char
        )
        self._outbox.post(pb.ConverseResponse(text_delta=delta))

    def close(self) -> None:
        """Cancels the timer: text that was added is sent only by `flush`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
