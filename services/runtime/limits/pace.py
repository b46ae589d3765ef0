"""A pace for who sends much: nothing is refused, but what is above the pace is read later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from services.runtime.limits.bucket import TokenBucket


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
        self._bucket = TokenBucket(per_second=per_second, burst=burst, now=now)

    def wait_s(self, amount: float) -> float:
        """Uses an amount; returns for how long to wait before more is read, s."""
        return max(0.0, -self._bucket.spend(amount) / self._per_second)

    async def use(self, amount: float) -> None:
        """Uses an amount, and waits as `wait_s` says."""
        if (wait_s := self.wait_s(amount)) > 0:
            await asyncio.sleep(wait_s)
