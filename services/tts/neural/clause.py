"""A spoken clause: its sound, and when each of its sounds is spoken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.runtime.audio import StreamResampler
from services.tts.engine import Samples
from services.tts.loudness import limited
from services.tts.neural.units import BLANK, Unit
from services.tts.phrase_by_phrase import Spoken
from services.tts.timing import Sound, moved

_LEAD_MS: Final = 50
_TAIL_MS: Final = 75
_EARLY_MS: Final = 100
_END_MS: Final = 250
_LONG_BLANK_MS: Final = 100
"""A blank between words this long is a pause; a shorter one belongs to the sound before it."""
_QUIET: Final = 0.05
_SILENT: Final = 1e-12
_FULL_SCALE: Final = 32_767
_RMS: Final = 0.12
"""The RMS of the frames that are heard, between those of eSpeak NG and of flite's SLT."""
_MAX_GAIN: Final = 3.0


@dataclass(frozen=True)
class Utterance:
    """What a model has spoken.

    Attributes:
        samples: float32 [sum(frames) * frame_samples], -1 to 1.
        frames: int64 [symbols + 2]: frames of the silence before, of each symbol, and after.
        frame_samples: Samples of a frame.
        sample_rate_hz: Samples per second.
    """

    samples: NDArray[np.float32]
    frames: NDArray[np.int64]
    frame_samples: int
    sample_rate_hz: int

    def frames_in(self, ms: int) -> int:
        """Returns how many frames are nearest to a duration."""
        return round(ms * self.sample_rate_hz / (1000 * self.frame_samples))


@dataclass(frozen=True)
class Clause(Spoken):
    """Speech and its sounds, which cover it without gaps."""

    @classmethod
    def silent(cls) -> Clause:
        """Returns a clause of which nothing can be spoken."""
        return cls(np.zeros(0, np.int16), ())


def clause_of(units: Sequence[Unit], spoken: Utterance) -> Clause:
    """Cuts the silence around speech, of which a model makes half a second, and times its sounds.

    Args:
        units: What was spoken.
        spoken: The frames of each of their symbols, and of the silence around them.
    """
    lead, *frames, tail = (int(count) for count in spoken.frames)
    levels = _levels(spoken)
    early = _early_frames(levels[:lead], most=spoken.frames_in(_EARLY_MS))
    cut = max(lead - early - spoken.frames_in(_LEAD_MS), 0)
    timeline = _Timeline(spoken.frame_samples)
    timeline.add("", 0, 0, lead - early - cut)
    position, frame = 0, lead - early
    frames[0] += early
    for index, unit in enumerate(units):
        taken = sum(frames[position : position + len(unit.symbols)])
        position += len(unit.symbols)
        is_short = taken < spoken.frames_in(_LONG_BLANK_MS)
        if unit.symbols == BLANK and is_short and timeline.sounds:
            timeline.lengthen(taken)
        elif unit.ipa and (index + 1 == len(units) or units[index + 1].is_mark):
            heard = _heard_frames(levels[frame : frame + taken])
            timeline.add(unit.ipa, unit.stress, unit.char, heard)
            timeline.add("", 0, 0, taken - heard)
        else:
            timeline.add(unit.ipa, unit.stress, unit.char, taken)
        frame += taken
    timeline.add("", 0, 0, min(tail, spoken.frames_in(_TAIL_MS)))
    timeline.shorten_end(spoken.frames_in(_END_MS))
    start = cut * spoken.frame_samples
    pcm = _pcm(spoken, levels)
    return Clause(pcm[start : start + timeline.end_sample], tuple(timeline.sounds))


def _levels(spoken: Utterance) -> NDArray[np.float32]:
    """Returns the RMS of each frame, relative to that of all."""
    squares = np.square(spoken.samples).reshape(-1, spoken.frame_samples).mean(axis=1)
    return np.asarray(np.sqrt(squares / max(squares.mean(), _SILENT)), np.float32)


def _early_frames(levels: NDArray[np.float32], *, most: int) -> int:
    """Returns how many frames before its time the first sound is heard."""
    loud = np.flatnonzero(levels > _QUIET)
    return min(len(levels) - int(loud[0]), most) if len(loud) else 0


def _heard_frames(levels: NDArray[np.float32]) -> int:
    """Returns how many of a sound's frames are heard, at least one.

    To the last sound before a pause the model also assigns the beginning of the pause, in which the
    lips should be closed.
    """
    loud = np.flatnonzero(levels > _QUIET)
    return int(loud[-1]) + 1 if len(loud) else min(len(levels), 1)


def joined(clauses: Sequence[Clause]) -> Clause:
    """Joins clauses into one."""
    sounds: list[Sound] = []
    for clause in clauses:
        start = sounds[-1].end_sample if sounds else 0
        sounds += [moved(sound, start) for sound in clause.sounds]
    samples = np.concatenate([np.zeros(0, np.int16), *(each.samples for each in clauses)])
    return Clause(samples, tuple(sounds))


def with_pitch(clause: Clause, percent: int, *, sample_rate_hz: int) -> Clause:
    """Plays a clause faster, and so higher, by a factor."""
    if percent == 100 or not clause.sounds:
        return clause
    resampler = StreamResampler(sample_rate_hz * percent // 100, sample_rate_hz)
    samples = np.concatenate([resampler.process(clause.samples), resampler.finish()])
    sounds = tuple(
        Sound(each.ipa, each.stress, each.char, each.start_sample * 100 // percent,
              each.end_sample * 100 // percent)
        for each in clause.sounds
    )  # fmt: skip
    length = sounds[-1].end_sample
    return Clause(np.pad(samples[:length], (0, max(length - len(samples), 0))), sounds)


class _Timeline:
    """Sounds one after the other."""

    def __init__(self, frame_samples: int) -> None:
        self.sounds: list[Sound] = []
        self._frame_samples = frame_samples

    @property
    def end_sample(self) -> int:
        return self.sounds[-1].end_sample if self.sounds else 0

    def add(self, ipa: str, stress: int, char: int, frames: int) -> None:
        if not ipa and self.sounds and not self.sounds[-1].ipa:
            self.lengthen(frames)
        else:
            end = self.end_sample + frames * self._frame_samples
            self.sounds.append(Sound(ipa, stress, char, self.end_sample, end))

    def lengthen(self, frames: int) -> None:
        last = self.sounds[-1]
        self.sounds[-1] = replace(last, end_sample=last.end_sample + frames * self._frame_samples)

    def shorten_end(self, most_frames: int) -> None:
        """Cuts the silence at the end."""
        last = self.sounds[-1]
        longest = last.start_sample + most_frames * self._frame_samples
        if not last.ipa and last.end_sample > longest:
            self.sounds[-1] = replace(last, end_sample=longest)


def _pcm(spoken: Utterance, levels: NDArray[np.float32]) -> Samples:
    """Returns speech at one loudness: the voices differ by 7 dB, and some would be clipped."""
    samples = spoken.samples
    heard = np.repeat(levels > _QUIET, spoken.frame_samples)
    rms = float(np.sqrt(np.square(samples[heard]).mean())) if heard.any() else _RMS
    gain = min(max(_RMS / rms, 1 / _MAX_GAIN), _MAX_GAIN)
    return limited(samples.astype(np.float64) * gain * _FULL_SCALE)
