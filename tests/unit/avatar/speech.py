"""Made-up speech with known visemes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.avatar.engine import VisemeSpan

RATE = 16_000
SIL, PP, FF, AA, IH, OU = 1, 2, 3, 11, 13, 15


def spans(*parts: tuple[int, float], rate: int = RATE) -> list[VisemeSpan]:
    """Visemes one after the other: (viseme, seconds)."""
    made, at = [], 0
    for viseme, seconds in parts:
        count = round(seconds * rate)
        made.append(VisemeSpan(viseme=viseme, start_sample=at, sample_count=count))
        at += count
    return made


def silence(seconds: float, rate: int = RATE) -> NDArray[np.int16]:
    return np.zeros(round(seconds * rate), np.int16)


def vowel(seconds: float, rate: int = RATE, level: float = 0.3) -> NDArray[np.int16]:
    """A buzz at 120 Hz through the formants of an open vowel."""
    t = np.arange(round(seconds * rate)) / rate
    wave = np.zeros_like(t)
    for k in range(1, int(min(rate / 2, 4000) / 120)):
        hz = 120 * k
        gain = sum(1 / (1 + ((hz - f) / b) ** 2) for f, b in ((730, 90), (1090, 110), (2440, 160)))
        wave += gain * np.sin(2 * np.pi * hz * t + k)
    wave *= level / np.abs(wave).max()
    return np.asarray(np.round(wave * 32767), np.int16)


def noise(seconds: float, rms: float, rate: int = RATE) -> NDArray[np.int16]:
    return np.asarray(np.random.default_rng(3).normal(0, rms, round(seconds * rate)), np.int16)
