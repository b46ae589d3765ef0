"""The playout clock of a turn: one absolute schedule from its first media, never moved afterwards.

Sample s of a turn is played at t0 + s / rate, where t0 is when the first media was sent, and its
media is sent `lead_ms` before that: a player buffers that much, and receives it at once when an
answer begins. Media that is made too late is sent at once; the media after it keeps its place on
the schedule, so that delays do not add up.
"""

from __future__ import annotations

import asyncio

from gateway.wakeup import Changes

# Timers may fire slightly early, and rounding may leave a delay too short for any timer.
_EARLY_S = 1e-4


class Schedule:
    """When media is sent, how much has been played, and how far production may run ahead.

    Args:
        sample_rate_hz: Samples per second of the turn's audio.
        lead_ms: How long before its playback media is sent.
        lookahead_ms: How far production may run ahead of playback.
        paced: False: media is sent as it is made, and production is not held back.
    """

    def __init__(
        self, *, sample_rate_hz: int, lead_ms: int, lookahead_ms: int, paced: bool
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sample_rate_hz = sample_rate_hz
        self._lead_s = lead_ms / 1000
        self._lookahead_samples = lookahead_ms * sample_rate_hz // 1000
        self._paced = paced
        self._start: float | None = None
        self._sent_samples = 0
        self._moves = Changes()
        self._running = asyncio.Event()
        self._running.set()
        self._held_at: float | None = None

    @property
    def sent_samples(self) -> int:
        """The first sample that has not been sent."""
        return self._sent_samples

    def lateness_s(self, sample: int) -> float:
        """Returns how late media that starts at `sample` would be if sent now, seconds."""
        if self._start is None or not self._paced:
            return 0.0
        return max(0.0, self._loop.time() - self._due(sample, self._start))

    def behind_s(self, sample: int) -> float:
        """Returns how long ago a sample should have been heard, seconds; 0 if it is not due yet."""
        if self._start is None or not self._paced or self._held_at is not None:
            return 0.0
        return max(0.0, self._loop.time() - self._start - sample / self._sample_rate_hz)

    def played_samples(self) -> int:
        """Returns the first sample that has not been played; without pacing, not been sent."""
        if self._start is None or not self._paced:
            return self._sent_samples
        elapsed = (self._loop.time() if self._held_at is None else self._held_at) - self._start
        return max(0, min(self._sent_samples, int(elapsed * self._sample_rate_hz)))

    def hold(self) -> None:
        """Stops the clock: nothing is sent and nothing counts as played until `go_on`."""
        if self._held_at is None:
            self._held_at = self._loop.time()
            self._running.clear()

    def go_on(self) -> float:
        """Restarts the clock where it was stopped.

        Returns:
            How long it was stopped, seconds.
        """
        if self._held_at is None:
            return 0.0
        held_s = self._loop.time() - self._held_at
        self._held_at = None
        if self._start is not None:
            self._start += held_s
        self._running.set()
        return held_s

    def sent(self, end_sample: int) -> None:
        """Records that media up to `end_sample` was sent; the first call starts the clock."""
        if self._start is None:
            self._start = self._loop.time()
        self._sent_samples = max(self._sent_samples, end_sample)
        self._moves.tell()

    async def until_due(self, sample: int) -> None:
        """Waits until media that starts at `sample` is due to be sent."""
        await self._running.wait()
        if self._paced and self._start is not None:
            await self._until(max(0.0, sample / self._sample_rate_hz - self._lead_s))

    async def until_room(self, sample: int) -> None:
        """Waits until audio that starts at `sample` is at most the lookahead ahead of playback."""
        needed = sample - self._lookahead_samples
        if not self._paced or needed <= 0:
            return
        while self._sent_samples < needed or self._start is None:
            await self._moves.next()
        await self._until(needed / self._sample_rate_hz)

    async def until_played(self) -> None:
        """Waits until all sent media has been played."""
        if self._paced and self._start is not None:
            await self._until(self._sent_samples / self._sample_rate_hz)

    async def _until(self, seconds: float) -> None:
        """Waits until the clock shows a time; it may be stopped meanwhile."""
        while True:
            await self._running.wait()
            delay = (self._start or 0.0) + seconds - self._loop.time()
            if delay <= _EARLY_S:
                return
            await asyncio.sleep(delay)

    def _due(self, sample: int, start: float) -> float:
        return start + max(0.0, sample / self._sample_rate_hz - self._lead_s)
