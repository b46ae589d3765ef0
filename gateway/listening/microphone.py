"""The microphone audio of a session: its last seconds, and the arrival time of each sample."""

from __future__ import annotations

import asyncio
from bisect import bisect_left

# Shorter pieces share one time of arrival.
_LEAST_ARRIVAL_MS = 5


class Microphone:
    """Keeps audio until it has certainly been recognised.

    The recogniser receives audio past the end of an utterance before it reports where the utterance
    ended; the next utterance starts there, so the audio is kept for a while after it was sent.

    Args:
        sample_rate_hz: Samples per second.
        kept_s: The most audio that is kept, seconds.

    Attributes:
        end_sample: The sample after the last one.
    """

    def __init__(self, *, sample_rate_hz: int, kept_s: int = 30) -> None:
        self.end_sample = 0
        self._kept_samples = kept_s * sample_rate_hz
        self._pcm = bytearray()
        self._start_sample = 0
        self._arrivals: list[tuple[int, float]] = []
        self._least_samples = sample_rate_hz * _LEAST_ARRIVAL_MS // 1000

    @property
    def start_sample(self) -> int:
        """The first sample that is still kept."""
        return self._start_sample

    def add(self, pcm: bytes) -> None:
        """Adds audio that has just arrived: int16 little-endian."""
        self._pcm += pcm
        self.end_sample += len(pcm) // 2
        self._note_arrival(asyncio.get_running_loop().time())
        surplus = self.end_sample - self._start_sample - self._kept_samples
        if surplus > 0:
            del self._pcm[: surplus * 2]
            self._start_sample += surplus
            first = bisect_left(self._arrivals, (self._start_sample, 0.0))
            del self._arrivals[:first]

    def _note_arrival(self, now_s: float) -> None:
        # Pieces of a sample each, or of none, must not need more memory than their audio.
        before = self._arrivals[-2][0] if len(self._arrivals) > 1 else self._start_sample
        if self._arrivals and self._arrivals[-1][0] - before < self._least_samples:
            self._arrivals.pop()
        self._arrivals.append((self.end_sample, now_s))

    def read(self, start_sample: int, end_sample: int) -> bytes:
        """Returns kept audio; samples that are no longer kept are left out."""
        first = max(0, start_sample - self._start_sample)
        last = max(0, end_sample - self._start_sample)
        return bytes(self._pcm[first * 2 : last * 2])

    def arrived_at(self, sample: int) -> float:
        """Returns when the audio up to `sample` had arrived, on the loop's clock, seconds."""
        place = bisect_left(self._arrivals, (sample, 0.0))
        if place < len(self._arrivals):
            return self._arrivals[place][1]
        return asyncio.get_running_loop().time()
