"""The video level of a session: lowered when rendering is slower than real time, then restored.

A pure state machine over the lateness of each answer. One slow answer lowers the level for the next
one; several good ones in a row raise it again.
"""

from __future__ import annotations

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb

# A player starts once it has buffered some media, so a delay up to this is not visible.
LATE_S = 0.15
_GOOD_ANSWERS = 3
_WORSE = {
    pb.VIDEO_LEVEL_FULL: pb.VIDEO_LEVEL_REDUCED_RATE,
    pb.VIDEO_LEVEL_REDUCED_RATE: pb.VIDEO_LEVEL_IDLE_LOOP,
    pb.VIDEO_LEVEL_IDLE_LOOP: pb.VIDEO_LEVEL_IDLE_LOOP,
}
_BETTER = {
    pb.VIDEO_LEVEL_FULL: pb.VIDEO_LEVEL_FULL,
    pb.VIDEO_LEVEL_REDUCED_RATE: pb.VIDEO_LEVEL_FULL,
    pb.VIDEO_LEVEL_IDLE_LOOP: pb.VIDEO_LEVEL_REDUCED_RATE,
}


class Quality:
    """The video level of one session.

    Attributes:
        level: The level of the next answer.
    """

    def __init__(self) -> None:
        self.level: pb.VideoLevel.ValueType = pb.VIDEO_LEVEL_FULL
        self._good = 0

    def answered(self, *, late_s: float) -> None:
        """Records the largest delay of the face in an answer, seconds."""
        if late_s > LATE_S:
            self._good = 0
            self.level = _WORSE[self.level]
            return
        self._good += 1
        if self._good >= _GOOD_ANSWERS and self.level != pb.VIDEO_LEVEL_FULL:
            self._good = 0
            self.level = _BETTER[self.level]

    def video(self, full: common.VideoFormat, *, sample_rate_hz: int) -> common.VideoFormat | None:
        """Returns the format of the next answer's video; None: no video.

        Args:
            full: The format at the full level.
            sample_rate_hz: Samples per second of the audio; each frame lasts a whole number of
                samples.
        """
        if self.level == pb.VIDEO_LEVEL_IDLE_LOOP:
            return None
        video = common.VideoFormat()
        video.CopyFrom(full)
        if self.level == pb.VIDEO_LEVEL_REDUCED_RATE:
            rates = range(max(1, full.frame_rate_hz // 2), 0, -1)
            video.frame_rate_hz = next(rate for rate in rates if sample_rate_hz % rate == 0)
        return video
