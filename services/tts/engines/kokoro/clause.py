"""A spoken clause: its sound, and when each of its sounds is spoken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.runtime.audio import StreamResampler
from services.tts.engine import Samples
from services.tts.engines.kokoro.model import FRAME_SAMPLES, SAMPLE_RATE_HZ, Utterance
from services.tts.engines.kokoro.units import BLANK, Unit
from services.tts.loudness import limited
from services.tts.phrase_by_phrase import Spoken
from services.tts.timing import Sound, moved

_LEAD_FRAMES: Final = 2
_TAIL_FRAMES: Final = 3
_EARLY_FRAMES: Final = 4
_END_FRAMES: Final = 10
_LONG_BLANK_FRAMES: Final = 4
"""A blank between words this long is a pause; a shorter one belongs to the sound before it."""
_QUIET: Final = 0.05
_SILENT: Final = 1e-12
_FULL_SCALE: Final = 32_767
_RMS: Final = 0.12
"""The RMS of the frames that are heard, between those of eSpeak NG and of flite's SLT."""
_MAX_GAIN: Final = 3.0


@dataclass(frozen=True)
class Clause(Spoken):
    """Speech and its sounds, which cover it without gaps."""

    @classmethod
    def silent(cls) -> Clause:
        """Returns a clause of which nothing can be spoken."""
        return cls(np.zeros(0, np.int16), ())


def clause_of(units: Sequence[Unit], spoken: Utterance) -> Clause:
    """Cuts the silence around speech, of which the model makes half a second, and times its sounds.

    Args:
        units: What was spoken.
        spoken: The frames of each of their symbols, and of the silence around them.
    """
    lead, *frames, tail = (int(count) for count in spoken.frames)
    levels = _levels(spoken.samples)
    early = _early_frames(levels, lead)
    cut = max(lead - early - _LEAD_FRAMES, 0)
    sounds: list[Sound] = []
    _add(sounds, "", 0, 0, lead - early - cut)
    position, frame = 0, lead - early
    frames[0] += early
    for index, unit in enumerate(units):
        taken = sum(frames[position : position + len(unit.symbols)])
        position += len(unit.symbols)
        if unit.symbols == BLANK and taken < _LONG_BLANK_FRAMES and sounds:
            _lengthen(sounds, taken)
        elif unit.ipa and (index + 1 == len(units) or units[index + 1].is_mark):
            heard = _heard_frames(levels, frame, taken)
            _add(sounds, unit.ipa, unit.stress, unit.char, heard)
            _add(sounds, "", 0, 0, taken - heard)
        else:
            _add(sounds, unit.ipa, unit.stress, unit.char, taken)
        frame += taken
    _add(sounds, "", 0, 0, min(tail, _TAIL_FRAMES))
    _shorten_end(sounds)
    start = cut * FRAME_SAMPLES
    pcm = _pcm(spoken.samples, levels)
    return Clause(pcm[start : start + sounds[-1].end_sample], tuple(sounds))


def _levels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the RMS of each frame, relative to that of all."""
    squares = np.square(samples).reshape(-1, FRAME_SAMPLES).mean(axis=1)
    return np.asarray(np.sqrt(squares / max(squares.mean(), _SILENT)), np.float32)


def _early_frames(levels: NDArray[np.float32], lead: int) -> int:
    """Returns how many frames before its time the first sound is heard, at most four."""
    loud = np.flatnonzero(levels[:lead] > _QUIET)
    return min(lead - int(loud[0]), _EARLY_FRAMES) if len(loud) else 0


def _heard_frames(levels: NDArray[np.float32], start: int, count: int) -> int:
    """Returns how many of a sound's frames are heard, at least one.

    To the last sound before a pause the model also assigns the beginning of the pause, in which the
    lips should be closed.
    """
    loud = np.flatnonzero(levels[start : start + count] > _QUIET)
    return int(loud[-1]) + 1 if len(loud) else min(count, 1)


def joined(clauses: Sequence[Clause]) -> Clause:
    """Joins clauses into one."""
    sounds: list[Sound] = []
    for clause in clauses:
        start = sounds[-1].end_sample if sounds else 0
        sounds += [moved(sound, start) for sound in clause.sounds]
    samples = np.concatenate([np.zeros(0, np.int16), *(each.samples for each in clauses)])
    return Clause(samples, tuple(sounds))


def with_pitch(clause: Clause, percent: int) -> Clause:
    """Plays a clause faster, and so higher, by a factor."""
    if percent == 100:
        return clause
    resampler = StreamResampler(SAMPLE_RATE_HZ * percent // 100, SAMPLE_RATE_HZ)
    samples = np.concatenate([resampler.process(clause.samples), resampler.finish()])
    sounds = tuple(
        Sound(each.ipa, each.stress, each.char, each.start_sample * 100 // percent,
              each.end_sample * 100 // percent)
        for each in clause.sounds
    )  # fmt: skip
    length = sounds[-1].end_sample
    return Clause(np.pad(samples[:length], (0, max(length - len(samples), 0))), sounds)


def _add(sounds: list[Sound], ipa: str, stress: int, char: int, frames: int) -> None:
    start = sounds[-1].end_sample if sounds else 0
    if not ipa and sounds and not sounds[-1].ipa:
        _lengthen(sounds, frames)
    else:
        sounds.append(Sound(ipa, stress, char, start, start + frames * FRAME_SAMPLES))


def _lengthen(sounds: list[Sound], frames: int) -> None:
    last = sounds.pop()
    end = last.end_sample + frames * FRAME_SAMPLES
    sounds.append(Sound(last.ipa, last.stress, last.char, last.start_sample, end))


def _shorten_end(sounds: list[Sound]) -> None:
    """Cuts the silence at the end to a quarter of a second."""
    last = sounds[-1]
    longest = last.start_sample + _END_FRAMES * FRAME_SAMPLES
    if not last.ipa and last.end_sample > longest:
        sounds[-1] = Sound("", 0, last.char, last.start_sample, longest)


def _pcm(samples: NDArray[np.float32], levels: NDArray[np.float32]) -> Samples:
    """Returns speech at one loudness: the voices differ by 7 dB, and some would be clipped."""
    heard = np.repeat(levels > _QUIET, FRAME_SAMPLES)
    rms = float(np.sqrt(np.square(samples[heard]).mean())) if heard.any() else _RMS
    gain = min(max(_RMS / rms, 1 / _MAX_GAIN), _MAX_GAIN)
    return limited(samples.astype(np.float64) * gain * _FULL_SCALE)
