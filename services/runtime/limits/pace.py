"""A pace for who sends much: nothing is refused, but what is above the pace is read later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Pace:
    """A token bucket whose users wait for what they are ahead of it.

    Args:
        per_second: The amount that may be used in a second for long.
        burst: The amount that may be used at once.
        now: A monotonic clock, s.
    """

    def __init__(
        self, *, per_second: float, burst: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._now = now
        self._left = burst
        self._at_s = now()

    def wait_s(self, amount: float) -> float:
        """Uses an amount; returns for how long to wait before more is read, s."""
        now_s = self._now()
        refilled = self._left + (now_s - self._at_s) * self._per_second
        self._left = min(self._burst, refilled) - amount
        self._at_s = now_s
        return max(0.0, -self._left / self._per_second)

    async def use(self, amount: float) -> None:
        """Uses an amount, and waits as `wait_s` says."""
        if (wait_s := self.wait_s(amount)) > 0:
            await asyncio.sleep(wait_s)
