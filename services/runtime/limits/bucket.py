"""A token bucket: so much at once, and then at a rate."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """An amount that refills with time.

    Args:
        per_second: The refill rate.
        burst: The capacity.
        now: A monotonic clock, seconds.
    """

    def __init__(
        self, *, per_second: float, burst: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._now = now
        self._left = self._burst
        self._at_s = now()

    def left(self) -> float:
        """Returns what is left; below 0: more was spent than there was."""
        now_s = self._now()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_second)
        self._at_s = now_s
        return self._left

    def spend(self, amount: float = 1.0) -> float:
        """Spends an amount, whether there is enough or not, and returns what is left."""
        self._left = self.left() - amount
        return self._left

    def take(self) -> bool:
        """Spends one; returns False, and spends nothing, if less than one is left."""
        if self.left() < 1.0:
            return False
        self._left -= 1.0
        return True
