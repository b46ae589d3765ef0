"""The frame clock: which sample a frame is shown at, in whole numbers only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FrameClock:
    """Maps frames to samples: frame n (from 0) is shown at sample round(n * rate / fps).

    Halves are rounded up. No error accumulates, whatever the rate: 44,100 Hz at 24 fps stays exact
    for ever.
    """

    sample_rate_hz: int
    frame_rate_hz: int

    def sample_of(self, frame: int) -> int:
        """Returns the index of the sample at which a frame is shown."""
        return (2 * frame * self.sample_rate_hz + self.frame_rate_hz) // (2 * self.frame_rate_hz)

    def frames_to_cover(self, sample_count: int) -> int:
        """Returns the fewest frames whose span holds that many samples."""
        frame = max(0, sample_count * self.frame_rate_hz // self.sample_rate_hz - 1)
        while self.sample_of(frame) < sample_count:
            frame += 1
        return frame

    def samples(self, seconds: float) -> int:
        """Returns a duration in samples."""
        return round(seconds * self.sample_rate_hz)
