"""Detects a stage that has work to do and sends nothing: frozen, or behind a dead connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_LOOKS = 8


class Watch:
    """Checks at intervals whether a stage that owes a response is silent.

    That costs one timer per check instead of one per message.

    Args:
        silence_s: How long a stage may be silent while it owes a response; detected up to a quarter
            of that time later.
        owes: Returns whether the stage owes a response now.
        on_silence: Called once, when the stage has been silent for that long.
    """

    def __init__(
        self, *, silence_s: float, owes: Callable[[], bool], on_silence: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._silence_s = silence_s
        self._owes = owes
        self._on_silence = on_silence
        self._since: float | None = None
        self._next_at = 0.0
        self._arm()

    def heard(self) -> None:
        """Records that the stage has sent something."""
        self._since = None

    def close(self) -> None:
        """Stops watching."""
        self._timer.cancel()

    def _arm(self) -> None:
        self._next_at = self._loop.time() + self._silence_s / _LOOKS
        self._timer = self._loop.call_at(self._next_at, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        # A loop that was itself suspended has not yet read messages that may have arrived
        # meanwhile.
        stopped = now - self._next_at > self._silence_s / _LOOKS
        if not self._owes():
            self._since = None
        elif self._since is None or stopped:
            self._since = now
        elif now - self._since >= self._silence_s:
            self._on_silence()
            return
        self._arm()
