"""The animation of one turn: the idle motion goes on, and speech adds to it.

Because the idle motion never stops, a turn begins in the pose that the viewer sees and ends in a
pose of the loop. What speech adds to the head fades in, and out before the end of what is known of
the speech, so that it is gone whenever the turn ends.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from services.avatar.clock import FrameClock
from services.avatar.engine import VisemeSpan
from services.avatar.idle import BLINK_S, BLINKS_S, LOOP_S, IdleMotion, lid_closure
from services.avatar.loudness import SoundTrack
from services.avatar.parameters import FaceParameters, HeadPose
from services.avatar.visemes import LOOK_AHEAD_S, MouthTrack

_FADE_S = 0.4
_MIN_BLINK_GAP_S = 2.0


class Animator:
    """Turns the audio and the visemes of one turn into parameters, frame after frame.

    Args:
        sample_rate_hz: Of the audio.
        frame_rate_hz: Of the video.
        idle_frame: The frame of the idle loop at which the turn begins.
        seed: Makes the chance in the motion repeatable.
    """

    def __init__(
        self, *, sample_rate_hz: int, frame_rate_hz: int, idle_frame: int, seed: str
    ) -> None:
        self._clock = FrameClock(sample_rate_hz=sample_rate_hz, frame_rate_hz=frame_rate_hz)
        self._idle = IdleMotion(frame_rate_hz=frame_rate_hz)
        self._first_idle_frame = idle_frame % self._idle.frame_count
        self._sound = SoundTrack(sample_rate_hz)
        self._mouth = MouthTrack(self._clock, self._sound)
        self._random = random.Random(seed)
        self._frame = 0
        self._emphasis = 0.0
        self._sway = 0.0
        self._sway_aim = 0.0
        self._fade = 0.0
        self._extra_blink_s: float | None = self._plan_blink(0.0)

    @property
    def look_ahead_samples(self) -> int:
        """How far beyond a frame's start the speech should be known."""
        return self._clock.samples(LOOK_AHEAD_S)

    @property
    def known_until_sample(self) -> int:
        """Up to where marks or audio say what is spoken."""
        return max(self._mouth.marked_until, self._sound.sample_count)

    def add_visemes(self, spans: Sequence[VisemeSpan]) -> None:
        """Takes visemes in the order of their start."""
        self._mouth.add(spans)

    def add_audio(self, samples: NDArray[np.int16]) -> None:
        """Takes audio that follows what was given before."""
        self._sound.add(samples)

    def end_audio(self) -> None:
        """Says that no audio follows."""
        self._mouth.end(self._sound.sample_count)

    def idle_frame(self) -> int:
        """Returns the frame of the loop that fits after the last one drawn."""
        return (self._first_idle_frame + self._frame) % self._idle.frame_count

    def next(self) -> FaceParameters:
        """Returns the next frame's face."""
        start = self._clock.sample_of(self._frame)
        idle = self._idle.at(self._first_idle_frame + self._frame)
        mouth = self._mouth.at_frame(self._frame)
        self._move(start)
        extra = HeadPose(
            yaw=0.35 * self._sway,
            pitch=0.5 * self._emphasis,
            roll_deg=0.5 * self._sway,
            y=2.5 * self._emphasis,
        )
        blink = max(idle.blink, self._extra_blink(start))
        self._sound.forget(start)
        self._frame += 1
        return replace(
            idle,
            mouth=mouth,
            head=idle.head.plus(_scaled(extra, self._fade)),
            blink=blink,
            brow=0.6 * self._fade * self._emphasis,
        )

    def _move(self, start: int) -> None:
        """Follows the loudness slowly; changes the side of the sway now and then."""
        step_s = 1 / self._idle.frame_rate_hz
        level = self._sound.level_at(start)
        self._emphasis += (level**2 - self._emphasis) * min(1.0, step_s / 0.18)
        if self._random.random() < step_s / 1.6:
            self._sway_aim = self._random.uniform(-1, 1)
        self._sway += (self._sway_aim - self._sway) * min(1.0, step_s / 0.5)
        left_s = (self._sound.sample_count - start) / self._clock.sample_rate_hz - step_s
        room = min(1.0, max(0.0, left_s / _FADE_S))
        self._fade = min(room, self._fade + step_s / _FADE_S)

    def _extra_blink(self, start: int) -> float:
        """A blink between those of the loop; it begins only when there is audio to finish it in."""
        now_s = start / self._clock.sample_rate_hz
        if self._extra_blink_s is None:
            return 0.0
        since = now_s - self._extra_blink_s
        if since <= 0:
            left_s = self._sound.sample_count / self._clock.sample_rate_hz - now_s
            if since > -2 / self._idle.frame_rate_hz and left_s < 2 * BLINK_S:
                self._extra_blink_s = self._plan_blink(now_s + 1)
            return 0.0
        if since >= BLINK_S:
            self._extra_blink_s = self._plan_blink(now_s)
            return 0.0
        return lid_closure(since)

    def _plan_blink(self, now_s: float) -> float | None:
        """Chooses a moment in one of the loop's longer gaps, at least 2 s from any other blink."""
        loop_now = now_s + self._first_idle_frame / self._idle.frame_rate_hz
        first_loop = int(loop_now // LOOP_S)
        moments = [
            loop * LOOP_S + b for loop in range(first_loop, first_loop + 6) for b in BLINKS_S
        ]
        for before, after in pairwise(moments):
            earliest = max(before, loop_now) + _MIN_BLINK_GAP_S
            latest = after - _MIN_BLINK_GAP_S
            if earliest < latest and self._random.random() < 0.7:
                return now_s + self._random.uniform(earliest, latest) - loop_now
        return None


def _scaled(pose: HeadPose, by: float) -> HeadPose:
    return HeadPose(pose.yaw * by, pose.pitch * by, pose.roll_deg * by, pose.x * by, pose.y * by)
