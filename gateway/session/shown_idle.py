"""The idle loop as the client shows it, so that an answer begins at the frame that is seen."""

from __future__ import annotations

from anima.avatar.v1 import avatar_pb2 as avatar
from services.runtime.clock import loop_time_s

# From the opening of the talking head to its first frame at the client, until it was measured.
_FIRST_FRAME_S = 0.25
_WEIGHT = 0.3


class IdleLoop:
    """Reckons which frame is shown at a moment from the client's last report.

    Args:
        frame_rate_hz: Frames per second of the loop; 0 without video.

    Attributes:
        activity: Which loop is shown.
    """

    def __init__(self, *, frame_rate_hz: int) -> None:
        self.activity: avatar.Activity.ValueType = avatar.ACTIVITY_UNSPECIFIED
        self._frame_rate_hz = frame_rate_hz
        self._frame = 0
        self._at: float | None = None
        self._delay_s = _FIRST_FRAME_S

    def report(self, frame: int, activity: avatar.Activity.ValueType) -> None:
        """Notes what is shown now."""
        self._frame = frame
        self._at = loop_time_s()
        self.activity = activity

    def first_frame(self) -> int:
        """The frame that will be shown when the first frame of an answer opened now is there.

        It may lie after the end of the loop: who renders knows how long the loop is.
        """
        if self._at is None:
            return 0
        return self._frame + round((loop_time_s() + self._delay_s - self._at) * self._frame_rate_hz)

    def shown_after(self, delay_s: float) -> None:
        """Learns how long after its opening the first frame of an answer left."""
        self._delay_s += _WEIGHT * (delay_s - self._delay_s)
