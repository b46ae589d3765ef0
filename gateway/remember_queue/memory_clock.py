"""The memory's clock as the gateway knows it, from the times in the memory's answers.

An erasure has a time on the memory's clock. To tell what was said before it, the time of a turn
must be on the same clock, and must not be later than the turn. An answer that arrives now was
written at `clock_unix_ns` or later, so that plus the time since then is such a lower bound, however
long the answer has travelled (Cristian, "Probabilistic clock synchronization", 1989). A turn that
is said after the answer to an erasure has arrived is later than the erasure by this bound too.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

_NS_PER_S: Final = 1_000_000_000
_KEPT_NS: Final = 60 * _NS_PER_S
"""How long the best answer counts: two clocks that nobody sets drift apart by a few ms in it."""
_FRESH_NS: Final = 10 * _NS_PER_S


class MemoryClock:
    """Converts times of this process into lower bounds of the memory's clock.

    Args:
        ask: Asks the memory for its clock, ns since 1970-01-01 UTC; 0: it does not say it.
        now_ns: Returns the time of this process, ns; it never goes back.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[int]], *, now_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._ask = ask
        self._now_ns = now_ns
        self._seen_at_ns: int | None = None
        self._since_ns = 0
        self._offset_ns: int | None = None
        self._earlier_offset_ns: int | None = None

    def answered(self, clock_unix_ns: int) -> None:
        """Notes the clock in an answer that has just arrived; 0: it has none."""
        if not clock_unix_ns:
            return
        now_ns = self._now_ns()
        offset_ns = clock_unix_ns - now_ns
        if self._offset_ns is None or now_ns - self._since_ns > _KEPT_NS:
            is_recent = now_ns - self._since_ns <= 2 * _KEPT_NS
            self._earlier_offset_ns = self._offset_ns if is_recent else None
            self._offset_ns, self._since_ns = offset_ns, now_ns
        # The answer that travelled for the shortest time gives the best bound.
        self._offset_ns = max(self._offset_ns, offset_ns)
        self._seen_at_ns = now_ns

    def at(self, at_ns: int) -> int:
        """Returns a time of this process on the memory's clock, or a little earlier.

        Args:
            at_ns: The time, ns, as `now_ns` gives it.

        Returns:
            ns since 1970-01-01 UTC; 0: no answer has come yet.
        """
        if self._offset_ns is None:
            return 0
        return at_ns + max(self._offset_ns, self._earlier_offset_ns or self._offset_ns)

    async def refresh(self) -> None:
        """Asks the memory for its clock, unless an answer came within the last seconds.

        Raises:
            grpc.aio.AioRpcError: The memory does not answer.
        """
        if self._seen_at_ns is None or self._now_ns() - self._seen_at_ns > _FRESH_NS:
            self.answered(await self._ask())
            self._seen_at_ns = self._now_ns()
