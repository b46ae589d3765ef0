"""Fits the mouth model that follows the sound to the mouth that follows the marks.

Run: python -m bench.fit_mouth > services/avatar/animation/sound_weights.py
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.faces.marked_speech import MarkedSpeech, animate, speak
from services.avatar.animation.loudness import SoundTrack
from services.avatar.animation.visemes import LEAD_S
from services.avatar.video.clock import FrameClock

Floats = NDArray[np.float64]

_STEPS_HZ = 50
_RIDGE = 2.0
_CLOSURE_STEP_S = 0.01
_CLOSED = 2
_CLOSURE_WEIGHT = 3.0
"""The weight of a missed closure relative to a closed mouth in another sound."""
_CLOSURE_RIDGE = 3e-3
_NEWTON_STEPS = 30
_HEAD = '''"""How the mouth follows from band energies; made by bench/fit_mouth.py, not by hand."""

from __future__ import annotations

import numpy as np

'''


def main() -> None:
    """Prints the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=None, help="sentences to speak; all")
    spoken = speak(parser.parse_args().sentences)
    shape = _fit_shape(spoken)
    closure = _fit_closure(spoken)
    print(_HEAD + "WEIGHTS = np.array(\n    [")
    for row in shape[:-1]:
        print(f"        [{_listed(row)}],")
    print(f"    ]\n)\nBIAS = np.array([{_listed(shape[-1])}])")
    print("CLOSURE_WEIGHTS = np.array(\n    [")
    for row in closure[:-1].reshape(-1, 7):
        print(f"        *({_listed(row)}),")
    print(f"    ]\n)\nCLOSURE_BIAS = {closure[-1]:.3f}")


def _listed(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def _fit_shape(spoken: Sequence[MarkedSpeech]) -> Floats:
    """Fits opening, width and rounding by ridge regression."""
    features, mouths = [], []
    for speech in spoken:
        sound = SoundTrack(speech.sample_rate_hz)
        sound.add(speech.audio)
        clock = FrameClock(sample_rate_hz=speech.sample_rate_hz, frame_rate_hz=_STEPS_HZ)
        for frame, face in enumerate(animate(speech, marked=True, frame_rate_hz=_STEPS_HZ)):
            heard = clock.sample_of(frame) + round(LEAD_S * speech.sample_rate_hz)
            if sound.level_at(heard):
                features.append([*sound.features_at(heard), 1.0])
                mouths.append([face.mouth.jaw, face.mouth.width, face.mouth.rounding])
    x, y = np.array(features), np.array(mouths)
    return np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ y)


def _fit_closure(spoken: Sequence[MarkedSpeech]) -> Floats:
    """Fits whether lips are closed, by logistic regression (Newton's method)."""
    features, closed = [], []
    for speech in spoken:
        sound = SoundTrack(speech.sample_rate_hz)
        sound.add(speech.audio)
        step = round(_CLOSURE_STEP_S * speech.sample_rate_hz)
        spans = [s for s in speech.spans if s.viseme == _CLOSED]
        for sample in range(0, len(speech.audio), step):
            if sound.level_at(sample):
                features.append([*sound.closure_features_at(sample), 1.0])
                closed.append(any(s.start_sample <= sample < s.end_sample for s in spans))
    x, y = np.array(features), np.array(closed, float)
    cost = np.where(y > 0, _CLOSURE_WEIGHT, 1.0)
    ridge = _CLOSURE_RIDGE * len(y) * np.eye(x.shape[1])
    weights = np.zeros(x.shape[1])
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (cost * (p - y)) + ridge @ weights
        bend = (x * (cost * p * (1 - p))[:, None]).T @ x + ridge
        weights -= np.linalg.solve(bend, slope)
    return weights


if __name__ == "__main__":
    main()
