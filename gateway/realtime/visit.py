"""A page that is open: its place goes to another one if nobody uses it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gateway.realtime.ending import TRY_LATER, ConnectionEndError
from services.runtime.observing.logs import get_logger

LEFT_S: Final = 60.0
"""After so long without a conversation and without a word from the page, its place is not needed.
The page stays open unless another one needs the place."""


class Visit:
    """Whether a page needs its place.

    Args:
        is_busy: Returns whether somebody converses there.
        end: Called with the reason if another page has the place now.
        now: A monotonic clock, s.
    """

    def __init__(
        self,
        is_busy: Callable[[], bool],
        end: Callable[[Exception], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_busy = is_busy
        self._end = end
        self._now = now
        self._used_s = now()

    def note(self) -> None:
        """Records that the page has sent something."""
        self._used_s = self._now()

    @property
    def overdue_s(self) -> float:
        """For how long the place has not been needed, s."""
        return 0.0 if self._is_busy() else max(0.0, self._now() - self._used_s - LEFT_S)

    def end(self, error: Exception) -> None:
        """Ends the connection of the page, because another one has its place."""
        get_logger().debug("a page has lost its place", why=str(error))
        self._end(ConnectionEndError(TRY_LATER, "another page needs the place of this one"))
