"""From speech to the mouth: targets from visemes or the sound, and the motion between them.

The mouth leads the sound by 50 ms and follows its targets with a fast attack and a slower release,
as co-articulated speech does. Lips that must close (p, b, m) are closed in every frame of the
closure, and in at least one frame.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.avatar.animation.loudness import SoundTrack
from services.avatar.animation.parameters import MouthShape
from services.avatar.engine import VisemeSpan
from services.avatar.video.clock import FrameClock

LEAD_S = 0.05
LOOK_AHEAD_S = 0.1
"""How far beyond a frame the speech must be known: the lead, the neighbours, the audio window."""

_ATTACK_S = 0.021
"""Time constant of opening; 10 to 90 % takes 2.2 times as long, about 45 ms."""
_RELEASE_S = 0.041
"""Time constant of closing; 90 to 10 % takes about 90 ms."""
_STEP_S = 0.005
_CLOSURE_EARLY_S = 0.02
_SPREAD_S = 0.02
"""How far sounds affect their neighbours."""
_STILL = 0.02

_SIL, _PP = 1, 2
_JAW, _PRESS = 0, 3

_TARGETS: dict[int, MouthShape] = {
    1: MouthShape(),
    2: MouthShape(press=1.0),
    3: MouthShape(jaw=0.12, width=0.1, tuck=1.0),
    4: MouthShape(jaw=0.28, width=0.1, tongue=1.0),
    5: MouthShape(jaw=0.25, width=0.15, tongue=0.7),
    6: MouthShape(jaw=0.3),
    7: MouthShape(jaw=0.2, rounding=0.65),
    8: MouthShape(jaw=0.13, width=0.5),
    9: MouthShape(jaw=0.2, width=0.1, tongue=0.6),
    10: MouthShape(jaw=0.25, rounding=0.4),
    11: MouthShape(jaw=1.0, width=0.15),
    12: MouthShape(jaw=0.6, width=0.45),
    13: MouthShape(jaw=0.34, width=0.7),
    14: MouthShape(jaw=0.65, rounding=0.7),
    15: MouthShape(jaw=0.3, rounding=1.0),
}
_STRESS = (0.82, 0.9, 1.0)
_STRENGTH = (0.3, 0.7, 1.0)

VISEMES = frozenset(_TARGETS)
"""The numbers of all mouth positions of the contract."""

_Vector = NDArray[np.float64]
_REST: _Vector = np.zeros(6)


def target(viseme: int) -> MouthShape:
    """Returns the mouth shape that a viseme aims at, before stress is applied."""
    return _TARGETS[viseme]


class MouthTrack:
    """The mouth of one turn, frame by frame."""

    def __init__(self, clock: FrameClock, sound: SoundTrack) -> None:
        self._clock = clock
        self._sound = sound
        self._spans: deque[VisemeSpan] = deque()
        self._marked_from: int | None = None
        self._marked_until = 0
        self._mouth = _REST.copy()
        self._step = clock.samples(_STEP_S)
        self._at = 0
        self._end: int | None = None

    def add(self, spans: Sequence[VisemeSpan]) -> None:
        """Adds visemes, ordered by start."""
        for span in spans:
            self._spans.append(span)
            if self._marked_from is None:
                self._marked_from = span.start_sample
            self._marked_until = max(self._marked_until, span.end_sample)

    def end(self, sample: int) -> None:
        """Sets the end of the speech; the mouth is closed by then."""
        self._end = sample

    def left_s(self, sample: int) -> float:
        """Returns how much speech is left, in seconds; infinite until the end is known."""
        if self._end is None:
            return math.inf
        return (self._end - sample) / self._clock.sample_rate_hz

    def at_frame(self, frame: int) -> MouthShape:
        """Returns the mouth of a frame; frames must be requested in order."""
        start = self._clock.sample_of(frame)
        while self._at < start:
            self._advance(min(self._step, start - self._at))
        self._forget(start)
        mouth = self._mouth.copy()
        if self._closes_in(frame, start):
            mouth[_JAW] = 0.0
            mouth[_PRESS] = 1.0
            self._mouth = mouth.copy()
        if self._end is not None:
            left = self._end - self._clock.sample_of(frame + 1)
            mouth *= min(1.0, max(0.0, left / self._clock.samples(0.08)))
        return MouthShape(*(float(value) for value in mouth))

    def _advance(self, samples: int) -> None:
        self._at += samples
        aim = self._aim(self._at + self._clock.samples(LEAD_S))
        seconds = samples / self._clock.sample_rate_hz
        closing = aim[_PRESS] > 0.5
        slow = math.exp(-seconds / (0.008 if closing else _RELEASE_S))
        quick = math.exp(-seconds / _ATTACK_S)
        keep = np.where(aim > self._mouth, quick, slow)
        self._mouth = aim + (self._mouth - aim) * keep
        self._mouth[(aim == 0) & (self._mouth < _STILL)] = 0.0

    def speech_at(self, sample: int) -> float:
        """Returns the strength of speech, 0 (silence) to 1, from the marks, else from loudness."""
        if not self._is_marked(sample):
            return self._sound.level_at(sample)
        span = self._span_at(sample)
        return 0.0 if span is None or span.viseme == _SIL else _STRENGTH[span.stress]

    def _is_marked(self, sample: int) -> bool:
        return self._marked_from is not None and self._marked_from <= sample < self._marked_until

    def _span_at(self, sample: int) -> VisemeSpan | None:
        for span in self._spans:
            if span.start_sample <= sample < span.end_sample:
                return span
        return None

    def _aim(self, sample: int) -> _Vector:
        """Returns the target of a moment, mixed with its neighbours', as in co-articulation."""
        aside = self._clock.samples(_SPREAD_S)
        here = self._target(sample)
        around = self._target(sample - aside) + self._target(sample + aside)
        mixed = 0.5 * here + 0.25 * around
        mixed[_PRESS:] = here[_PRESS:]
        if not self._is_marked(sample):
            closed = self._sound.closure_at(sample)
            mixed[_JAW] *= 1 - closed
            mixed[_PRESS] = closed
        return mixed

    def _target(self, sample: int) -> _Vector:
        if not self._is_marked(sample):
            return _vector(self._sound.mouth_at(sample), 1.0)
        span = self._span_at(sample)
        return _REST if span is None else _vector(_TARGETS[span.viseme], _STRESS[span.stress])

    def _closes_in(self, frame: int, start: int) -> bool:
        """Returns whether lips are closed in a frame: within the closure, or nearest its middle."""
        early = self._clock.samples(_CLOSURE_EARLY_S)
        for span in self._spans:
            if span.start_sample > start + self._clock.sample_rate_hz:
                break
            if span.viseme != _PP:
                continue
            if span.start_sample - early <= start < span.end_sample - early:
                return True
            middle = max(0, span.start_sample + span.sample_count // 2 - early)
            nearest = round(middle * self._clock.frame_rate_hz / self._clock.sample_rate_hz)
            if nearest == frame:
                return True
        return False

    def _forget(self, start: int) -> None:
        past = start - self._clock.sample_rate_hz // 5
        while self._spans and self._spans[0].end_sample < past:
            self._spans.popleft()


def _vector(mouth: MouthShape, stress: float) -> _Vector:
    jaw = min(1.0, mouth.jaw * stress)
    return np.array([jaw, mouth.width, mouth.rounding, mouth.press, mouth.tuck, mouth.tongue])
