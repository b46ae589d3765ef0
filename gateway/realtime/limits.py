"""How much one connection may ask for."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EdgeLimits:
    """The bounds of one WebSocket connection."""

    max_event_bytes: int = 256 * 1024
    """The largest JSON event of a client: base64 of the largest audio message, and room."""
    max_audio_bytes: int = 65_536
    """The largest binary message of a client."""
    messages_per_s: float = 200.0
    """Messages of a client in the long run."""
    burst_messages: int = 400
    """Messages that may come at once."""
    max_waiting_bytes: int = 4 * 1024 * 1024
    """What may wait for a slow client before it is disconnected."""
    max_waiting_messages: int = 512
    """The same, counted in messages."""
    send_timeout_s: float = 15.0
    """How long one message may take to be taken by the network."""
    authenticate_timeout_s: float = 10.0
    """How long a client may take to name its token."""
    idle_timeout_s: float = 600.0
    """After this time without input the conversation gives up its place; the connection stays."""


class Allowance:
    """A token bucket.

    Args:
        per_second: what flows in.
        burst: what fits.
        now: a monotonic clock, seconds.
    """

    def __init__(
        self, *, per_second: float, burst: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._now = now
        self._left = float(burst)
        self._at = now()

    def take(self) -> bool:
        """Takes one; False if nothing is left."""
        now = self._now()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
