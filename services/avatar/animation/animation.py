"""The animation of one turn: continuous idle motion plus the motion of speech.

The idle motion never stops, so a turn begins in the pose that the viewer sees and ends in a pose
of the loop. The motion that speech adds to head, brows and gaze follows the voice: it rises during
speech and decays soon after, so that none is left after the pause that ends a turn. All motion
depends on the speech alone, never on its time of arrival.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.avatar.animation.idle import BLINKS_S, LOOP_S, IdleMotion, lid_closure
from services.avatar.animation.loudness import SoundTrack
from services.avatar.animation.parameters import FaceParameters, HeadPose
from services.avatar.animation.visemes import LOOK_AHEAD_S, MouthTrack
from services.avatar.engine import Activity, VisemeSpan
from services.avatar.video.clock import FrameClock

_VOICE_RISE_S, _VOICE_FALL_S = 0.35, 0.07
"""Rise and fall time constants of the motion that speech adds."""
_NOD_RISE_S, _NOD_FALL_S = 0.09, 0.22
_SWAY_S = 0.45
_CUT_OFF_S = 0.25
_LEAVE_S = 0.5
"""How long the listening or thinking expression takes to fade out."""
_PAUSE_S = 0.12
_BLINK_GAP_S = 2.0


class Animator:
    """Turns the audio and the visemes of one turn into parameters, frame by frame.

    Args:
        sample_rate_hz: Sample rate of the audio.
        frame_rate_hz: Frame rate of the video.
        idle_frame: The frame of the idle loop at which the turn begins.
        seed: Seeds the random part of the motion.
        activity: The activity whose loop that is.
    """

    def __init__(
        self,
        *,
        sample_rate_hz: int,
        frame_rate_hz: int,
        idle_frame: int,
        seed: str,
        activity: Activity = Activity.IDLE,
    ) -> None:
        self._clock = FrameClock(sample_rate_hz=sample_rate_hz, frame_rate_hz=frame_rate_hz)
        self._idle = IdleMotion(frame_rate_hz=frame_rate_hz, activity=activity)
        self._first_idle_frame = idle_frame % self._idle.frame_count
        self._sound = SoundTrack(sample_rate_hz)
        self._mouth = MouthTrack(self._clock, self._sound)
        self._random = random.Random(seed)
        self._frame = 0
        self._voice = 0.0
        self._accent = 0.0
        self._accent_aim = 0.0
        self._mean = 0.3
        self._sway = 0.0
        self._sway_way = 0.0
        self._sway_aim = 0.0
        self._glance = 0.0
        self._glance_aim = 0.0
        self._silent_s = 1.0
        self._blink_s: float | None = None
        self._last_blink_s = 0.0

    @property
    def look_ahead_samples(self) -> int:
        """How far ahead of a frame's start the speech should be known."""
        return self._clock.samples(LOOK_AHEAD_S)

    def add_visemes(self, spans: Sequence[VisemeSpan]) -> None:
        """Adds visemes, ordered by start."""
        self._mouth.add(spans)

    def add_audio(self, samples: NDArray[np.int16]) -> None:
        """Appends audio."""
        self._sound.add(samples)

    def end_audio(self) -> None:
        """Marks the end of the audio."""
        self._mouth.end(self._sound.sample_count)

    def idle_frame(self) -> int:
        """Returns the frame of the idle loop that continues the last frame drawn."""
        return (self._first_idle_frame + self._frame) % self._idle.frame_count

    def next(self) -> FaceParameters:
        """Returns the parameters of the next frame."""
        start = self._clock.sample_of(self._frame)
        left = max(0.0, 1 - self._frame / (_LEAVE_S * self._idle.frame_rate_hz))
        share = left * left * (3 - 2 * left)
        idle = self._idle.at(self._first_idle_frame + self._frame, share=share)
        mouth = self._mouth.at_frame(self._frame)
        self._move(self._mouth.speech_at(start), self._mouth.left_s(start))
        nod = self._voice * self._accent
        extra = HeadPose(
            yaw=0.35 * self._voice * self._sway,
            pitch=0.5 * nod,
            roll_deg=0.7 * self._voice * self._sway,
            x=1.5 * self._voice * self._sway,
            y=1.2 * nod,
        )
        blink = max(idle.blink, self._extra_blink())
        self._sound.forget(start)
        self._frame += 1
        return replace(
            idle,
            mouth=mouth,
            head=idle.head.plus(extra),
            blink=blink,
            brow=idle.brow + 0.6 * max(0.0, nod),
            gaze_x=idle.gaze_x + 0.3 * self._voice * self._glance,
            gaze_y=idle.gaze_y + 0.15 * self._voice * abs(self._glance),
        )

    def _move(self, speech: float, left_s: float) -> None:
        """Moves the head with the accents and changes the side of the sway now and then."""
        step_s = 1 / self._idle.frame_rate_hz
        time_s = _VOICE_RISE_S if speech else _VOICE_FALL_S
        self._voice += (float(speech > 0) - self._voice) * (1 - math.exp(-step_s / time_s))
        if speech:
            # only for speech that is cut off; after a pause the head is already at rest
            self._voice = min(self._voice, max(0.0, left_s - step_s) / _CUT_OFF_S)
            self._mean += (speech - self._mean) * min(1.0, step_s / 1.5)
        aim = min(1.0, max(-0.3, 1.6 * (speech - self._mean))) if speech else 0.0
        time_s = _NOD_RISE_S if aim > self._accent_aim else _NOD_FALL_S
        self._accent_aim += (aim - self._accent_aim) * (1 - math.exp(-step_s / time_s))
        self._accent += (self._accent_aim - self._accent) * (1 - math.exp(-step_s / _NOD_RISE_S))
        if self._random.random() < step_s / 1.6:
            self._sway_aim = self._random.uniform(-1, 1)
        # two steps in a row, because a head does not start to move at once
        keep = math.exp(-step_s / _SWAY_S)
        self._sway_way = self._sway_aim + (self._sway_way - self._sway_aim) * keep
        self._sway = self._sway_way + (self._sway - self._sway_way) * keep
        if self._random.random() < step_s / 1.2:
            away = self._random.random() < 0.4
            self._glance_aim = self._random.choice((-1, 1)) * away
        self._glance += (self._glance_aim - self._glance) * (1 - math.exp(-step_s / 0.04))
        self._begin_blink(speech, step_s)

    def _begin_blink(self, speech: float, step_s: float) -> None:
        """Blinks at the start of a phrase, when enough speech is left to finish the blink in."""
        now_s = self._frame * step_s
        loop_s = (now_s + self._first_idle_frame * step_s) % LOOP_S
        to_next_s = min((blink - loop_s) % LOOP_S for blink in BLINKS_S)
        since_last_s = min(
            min((loop_s - blink) % LOOP_S for blink in BLINKS_S), now_s - self._last_blink_s
        )
        begins = speech > 0 and self._silent_s >= _PAUSE_S and now_s > 0
        if begins and min(to_next_s, since_last_s) >= _BLINK_GAP_S:
            self._blink_s = self._last_blink_s = now_s
        self._silent_s = 0.0 if speech else self._silent_s + step_s

    def _extra_blink(self) -> float:
        if self._blink_s is None:
            return 0.0
        return lid_closure(self._frame / self._idle.frame_rate_hz - self._blink_s)
