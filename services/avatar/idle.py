"""The idle motion: periodic, and neutral in its first frame: it repeats without a jump."""

from __future__ import annotations

import math
from dataclasses import dataclass

from services.avatar.parameters import FaceParameters, HeadPose

LOOP_S = 8
BLINKS_S = (2.2, 6.6)
"""When the eyelids close in the loop; the gaps are 4.4 s and 3.6 s."""
BLINK_S = 0.28

_TURN = 2 * math.pi


@dataclass(frozen=True, kw_only=True)
class IdleMotion:
    """Breath, blinks, gaze and a little motion of the head over one loop."""

    frame_rate_hz: int

    @property
    def frame_count(self) -> int:
        """The length of the loop."""
        return LOOP_S * self.frame_rate_hz

    def at(self, frame: int) -> FaceParameters:
        """Returns the face of a frame; frames beyond the loop begin it again."""
        frame %= self.frame_count
        phase = frame / self.frame_count
        seconds = phase * LOOP_S
        one, two, three = (math.sin(_TURN * k * phase) for k in (1, 2, 3))
        still = (1 - math.cos(_TURN * phase)) / 2
        return FaceParameters(
            head=HeadPose(
                yaw=0.34 * one * still + 0.12 * two,
                pitch=0.16 * two * still - 0.1 * three,
                roll_deg=0.55 * one - 0.3 * two * still,
                x=5.0 * one + 1.5 * three,
                y=1.5 * two,
            ),
            blink=max(lid_closure(seconds - start) for start in BLINKS_S),
            gaze_x=-0.18 * _dwell(seconds, 2.3, 4.6) + 0.12 * _dwell(seconds, 5.2, 6.7),
            breath=(1 - math.cos(_TURN * 2 * phase)) / 2,
        )


def lid_closure(seconds: float) -> float:
    """How far the lids are closed, `seconds` after a blink began: quick down, slower up."""
    if not 0 < seconds < BLINK_S:
        return 0.0
    if seconds < 0.09:
        return math.sin(seconds / 0.09 * math.pi / 2) ** 2
    if seconds < 0.13:
        return 1.0
    return math.cos((seconds - 0.13) / (BLINK_S - 0.13) * math.pi / 2) ** 2


def _dwell(seconds: float, start: float, end: float) -> float:
    """Goes to 1 at start and back to 0 at end, each within 120 ms."""

    def step(since: float) -> float:
        t = min(1.0, max(0.0, since / 0.12))
        return t * t * (3 - 2 * t)

    return step(seconds - start) - step(seconds - end)
