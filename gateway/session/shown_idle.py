"""Tracks the client's idle loop, so that an answer starts at the frame on the screen."""

from __future__ import annotations

from anima.avatar.v1 import avatar_pb2 as avatar
from services.runtime.process.clock import loop_time_s

# Time from opening the talking head to its first frame at the client, until it is measured.
_FIRST_FRAME_S = 0.25
_WEIGHT = 0.3


class IdleLoop:
    """Predicts the frame that is shown at a given time from the client's last report.

    Args:
        frame_rate_hz: Frames per second of the loop; 0 without video.

    Attributes:
        activity: The activity whose loop is shown.
    """

    def __init__(self, *, frame_rate_hz: int) -> None:
        self.activity: avatar.Activity.ValueType = avatar.ACTIVITY_UNSPECIFIED
        self._frame_rate_hz = frame_rate_hz
        self._frame = 0
        self._at: float | None = None
        self._delay_s = _FIRST_FRAME_S

    def report(self, frame: int, activity: avatar.Activity.ValueType) -> None:
        """Records the frame and the activity that are shown now."""
        self._frame = frame
        self._at = loop_time_s()
        self.activity = activity

    def first_frame(self) -> int:
        """Returns the frame that will be shown when the first frame of an answer arrives.

        It may lie after the end of the loop; only the renderer knows the length of the loop.
        """
        if self._at is None:
            return 0
        return self._frame + round((loop_time_s() + self._delay_s - self._at) * self._frame_rate_hz)

    def shown_after(self, delay_s: float) -> None:
        """Records how long after its opening the first frame of an answer was sent."""
        self._delay_s += _WEIGHT * (delay_s - self._delay_s)
