"""Rates per caller: a token bucket for each, in a table of bounded size."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from prometheus_client import Counter

from services.runtime.errors import Busy

RATE_LIMITED: Final = "RATE_LIMITED"
"""The reason of the error of who has used all."""
_MOST_CALLERS: Final = 10_000
REFUSED: Final = Counter(
    "anima_over_limit", "Requests refused because a caller was over a limit.", ["limit"]
)


class Rate:
    """An amount that each caller may use in a time.

    Unused amounts collect up to the whole amount. A single use may exceed what is left, if that is
    at least 1: the caller then waits until the excess is made up for.

    Args:
        amount: The amount in `per_s`; 0: no limit.
        per_s: The time, s.
        limit: The name of the limit, in metrics.
        text: What is used, in the text of a refusal, such as "requests a minute".
        now: A monotonic clock, s.
    """

    def __init__(
        self,
        amount: float,
        *,
        per_s: float,
        limit: str,
        text: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._amount = amount
        self._per_s = per_s
        self._limit = limit
        self._text = text
        self._now = now
        # What is used at which time, the longest unused first.
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str | None, amount: float = 1.0) -> None:
        """Uses an amount; None is not limited.

        Raises:
            Busy: The caller has used all; RetryInfo says when there is more.
        """
        self.check(caller)
        self.use(caller, amount)

    def check(self, caller: str | None) -> None:
        """Checks that the caller may use more.

        Raises:
            Busy: It may not; RetryInfo says when there is more.
        """
        if caller is None or not self._amount or caller not in self._used:
            return
        over = self._left_in_use(caller) + min(1.0, self._amount) - self._amount
        # The tolerance is for sums that are whole only on paper.
        if over < 1e-9:
            return
        REFUSED.labels(self._limit).inc()
        wait_s = max(1.0, over * self._per_s / self._amount)
        raise Busy(
            f"{self._amount:g} {self._text} are used; try again in {wait_s:.0f} s",
            retry_after_ms=round(wait_s * 1000),
            reason=RATE_LIMITED,
            metadata={"limit": self._limit},
        )

    def use(self, caller: str | None, amount: float) -> None:
        """Uses an amount that is known only after it was used."""
        if caller is None or not self._amount:
            return
        self._used[caller] = (self._left_in_use(caller) + amount, self._now())
        self._used.move_to_end(caller)
        while len(self._used) > _MOST_CALLERS:
            self._used.popitem(last=False)

    def _left_in_use(self, caller: str) -> float:
        used, at_s = self._used.get(caller, (0.0, 0.0))
        return max(0.0, used - (self._now() - at_s) * self._amount / self._per_s)


def requests_a_minute(amount: int, *, now: Callable[[], float] = time.monotonic) -> Rate:
    """Returns the rate of the requests of callers."""
    return Rate(amount, per_s=60.0, limit="requests", text="requests a minute", now=now)
