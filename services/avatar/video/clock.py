"""The frame clock: maps frames to samples in integers only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FrameClock:
    """Maps frames to samples: frame n (from 0) is shown at sample round(n * rate / fps).

    Halves are rounded up. No error accumulates at any rate: 44,100 Hz at 24 fps stays exact
    indefinitely.
    """

    sample_rate_hz: int
    frame_rate_hz: int

    def sample_of(self, frame: int) -> int:
        """Returns the index of the sample at which a frame is shown."""
        return (2 * frame * self.sample_rate_hz + self.frame_rate_hz) // (2 * self.frame_rate_hz)

    def frames_to_cover(self, sample_count: int) -> int:
        """Returns the smallest number of frames that covers that many samples."""
        frame = max(0, sample_count * self.frame_rate_hz // self.sample_rate_hz - 1)
        while self.sample_of(frame) < sample_count:
            frame += 1
        return frame

    def samples(self, seconds: float) -> int:
        """Converts a duration to samples."""
        return round(seconds * self.sample_rate_hz)
