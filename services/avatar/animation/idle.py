"""The idle motion: periodic and neutral in its first frame, so it repeats without a jump.

Listening and thinking add an overlay to the same motion, so the same frame of two loops differs
only by that overlay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from services.avatar.animation.parameters import FaceParameters, HeadPose
from services.avatar.engine import Activity

LOOP_S = 8
BLINKS_S = (2.2, 6.6)
"""When the eyelids close in the loop; the gaps are 4.4 s and 3.6 s."""
BLINK_S = 0.28

_SLOW = 1.6
"""How many times longer a blink takes while thinking."""
_TURN = 2 * math.pi


@dataclass(frozen=True, kw_only=True)
class IdleMotion:
    """Breath, blinks, gaze and slight head motion over one loop.

    Attributes:
        frame_rate_hz: Frame rate of the video.
        activity: Listening is attentive, with small nods; while thinking the gaze wanders off and
            the lids move slowly.
    """

    frame_rate_hz: int
    activity: Activity = Activity.IDLE

    @property
    def frame_count(self) -> int:
        """The length of the loop."""
        return LOOP_S * self.frame_rate_hz

    def at(self, frame: int, *, share: float = 1.0) -> FaceParameters:
        """Returns the face of a frame; the loop repeats beyond its last frame.

        Args:
            frame: Frame number, from 0.
            share: How much of the listening or thinking overlay is shown, 0 to 1.
        """
        frame %= self.frame_count
        phase = frame / self.frame_count
        seconds = phase * LOOP_S
        one, two, three = (math.sin(_TURN * k * phase) for k in (1, 2, 3))
        still = (1 - math.cos(_TURN * phase)) / 2
        face = FaceParameters(
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
        if self.activity is Activity.LISTENING:
            return _listening(face, seconds, share)
        if self.activity is Activity.THINKING:
            return _thinking(face, seconds, share)
        return face


def _listening(face: FaceParameters, seconds: float, share: float) -> FaceParameters:
    """Eyes on the person, the head slightly tilted, an occasional nod."""
    kept = share * _held(seconds)
    nod = share * sum(_bump(seconds, start, 0.7) for start in (2.9, 5.3))
    aside = HeadPose(yaw=0.1 * kept, pitch=0.1 * kept + 0.55 * nod, roll_deg=1.1 * kept, y=3 * nod)
    return replace(
        face,
        head=face.head.plus(aside),
        gaze_x=face.gaze_x * (1 - kept),
        brow=0.22 * kept,
    )


def _thinking(face: FaceParameters, seconds: float, share: float) -> FaceParameters:
    """Eyes up and to one side, then to the other; slow lids."""
    kept = share * _held(seconds)
    one = share * _dwell(seconds, 0.5, 4.3, 0.25)
    other = share * _dwell(seconds, 4.5, 7.3, 0.25)
    aside = HeadPose(
        yaw=0.3 * (one - 0.6 * other), pitch=-0.25 * kept, roll_deg=-0.8 * one + 0.5 * other
    )
    slow = max(lid_closure((seconds - start) / _SLOW) for start in BLINKS_S)
    return replace(
        face,
        head=face.head.plus(aside),
        gaze_x=face.gaze_x * (1 - kept) + 0.6 * one - 0.45 * other,
        gaze_y=-0.6 * max(one, other),
        blink=slow if share == 1 else max(face.blink, share * slow),
        brow=0.3 * kept,
    )


def lid_closure(seconds: float) -> float:
    """Returns how far the lids are closed `seconds` after a blink began: fast down, slower up."""
    if not 0 < seconds < BLINK_S:
        return 0.0
    if seconds < 0.09:
        return math.sin(seconds / 0.09 * math.pi / 2) ** 2
    if seconds < 0.13:
        return 1.0
    return math.cos((seconds - 0.13) / (BLINK_S - 0.13) * math.pi / 2) ** 2


def _dwell(seconds: float, start: float, end: float, within: float = 0.12) -> float:
    """Rises to 1 at `start` and falls back to 0 at `end`, each within `within` seconds."""

    def step(since: float) -> float:
        t = min(1.0, max(0.0, since / within))
        return t * t * (3 - 2 * t)

    return step(seconds - start) - step(seconds - end)


def _held(seconds: float) -> float:
    """Returns 1 for almost the whole loop, fading in and out at its ends."""
    return _dwell(seconds, 0.1, LOOP_S - 0.8, 0.7)


def _bump(seconds: float, start: float, length: float) -> float:
    t = (seconds - start) / length
    return (1 - math.cos(_TURN * t)) / 2 if 0 < t < 1 else 0.0
