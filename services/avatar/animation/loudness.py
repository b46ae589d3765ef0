"""The mouth shape from the sound alone.

A linear map turns the band energies around a moment, in decibels below the speaker's own peak,
into how far the mouth is open, wide and round. It was fitted by ridge regression to the mouths
that the marks of our voices ask for (`python -m bench.fit_mouth`).
"""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from services.avatar.animation.parameters import MouthShape
from services.avatar.animation.sound_weights import BIAS, CLOSURE_BIAS, CLOSURE_WEIGHTS, WEIGHTS

BAND_EDGES_HZ = (100, 250, 450, 700, 1000, 1500, 2300, 3400)
CONTEXT_HOPS = (-3, 0, 1)
"""The hops around a moment that are used together, as offsets."""
CLOSURE_HOPS = (-4, -2, -1, 0, 1, 2, 3)
"""The same for closed lips, which are recognised by the dip and the burst after it."""
_DOUBTFUL, _CERTAIN = 0.45, 0.6
"""The probability of closed lips at which the mouth starts to move, and at which it is closed."""
_HOP_S = 0.01
_WINDOW_S = 0.025
_KEEP_S = 0.5
_OPEN_DB, _CLOSE_DB = -48.0, -54.0
"""Hysteresis of speech, dB of full scale; anything quieter is silence at any speaker's level."""
_HANGOVER_HOPS = 5
_RANGE_DB = 26.0
_BAND_RANGE_DB = 45.0
_PEAK_FALL_DB = 0.03
_GAIN, _OFFSET = 1.5, 0.14
"""The fit moves the mouth too little around its mean and leaves a closed mouth slightly open; these
values correct both."""
_SILENCE = MouthShape()
_NO_BANDS: NDArray[np.float64] = np.zeros(len(BAND_EDGES_HZ) - 1)


class SoundTrack:
    """Analyses the audio of one turn in hops of 10 ms."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._hop = max(1, round(_HOP_S * sample_rate_hz))
        self._window = max(self._hop, round(_WINDOW_S * sample_rate_hz))
        self._taper = np.hanning(self._window)
        hz = np.fft.rfftfreq(self._window, 1 / sample_rate_hz)
        self._audible = hz >= 200
        self._bands = np.array(
            [(hz >= low) & (hz < high) for low, high in pairwise(BAND_EDGES_HZ)], float
        )
        self._pending = np.zeros(0)
        self._features: deque[NDArray[np.float64]] = deque()
        self._levels: deque[float] = deque()
        self._first_hop = 0
        self._peak_db = -22.0
        self._speaking = False
        self._quiet_hops = 0
        self.sample_count = 0

    def add(self, samples: NDArray[np.int16]) -> None:
        """Appends audio."""
        self.sample_count += len(samples)
        self._pending = np.concatenate([self._pending, samples / 32768.0])
        while len(self._pending) >= self._window:
            self._hear(self._pending[: self._window])
            self._pending = self._pending[self._hop :]

    def forget(self, sample: int) -> None:
        """Drops the data well before a sample."""
        oldest = (sample // self._hop) - round(_KEEP_S / _HOP_S)
        while self._levels and self._first_hop < oldest:
            self._features.popleft()
            self._levels.popleft()
            self._first_hop += 1

    def mouth_at(self, sample: int) -> MouthShape:
        """Returns the mouth shape for the sound at a sample; closed in silence."""
        if self.level_at(sample) == 0:
            return _SILENCE
        jaw, width, rounding = self.features_at(sample) @ WEIGHTS + BIAS
        return MouthShape(
            jaw=min(1.0, max(0.0, _GAIN * (jaw - _OFFSET))),
            width=min(1.0, max(0.0, _GAIN * width)),
            rounding=min(1.0, max(0.0, _GAIN * rounding)) * (width < 0.4),
        )

    def features_at(self, sample: int) -> NDArray[np.float64]:
        """Returns the band energies around a sample, 0 to about 1, shape (contexts * bands,)."""
        index = self._index(sample)
        return np.concatenate([self._features_of(index + hop) for hop in CONTEXT_HOPS])

    def closure_at(self, sample: int) -> float:
        """Returns the certainty that the lips are closed at a sample, 0 to 1; 0 in silence."""
        if self.level_at(sample) == 0:
            return 0.0
        evidence = float(self.closure_features_at(sample) @ CLOSURE_WEIGHTS + CLOSURE_BIAS)
        likely = 1 / (1 + math.exp(-evidence))
        return min(1.0, max(0.0, (likely - _DOUBTFUL) / (_CERTAIN - _DOUBTFUL)))

    def closure_features_at(self, sample: int) -> NDArray[np.float64]:
        """Returns the band energies used to detect closed lips, shape (hops * bands,)."""
        index = self._index(sample)
        return np.concatenate([self._features_of(index + hop) for hop in CLOSURE_HOPS])

    def level_at(self, sample: int) -> float:
        """Returns the loudness of the speech, 0 (none) to 1, within the speaker's own range."""
        index = self._index(sample)
        return self._levels[index] if 0 <= index < len(self._levels) else 0.0

    def _features_of(self, index: int) -> NDArray[np.float64]:
        return self._features[index] if 0 <= index < len(self._features) else _NO_BANDS

    def _index(self, sample: int) -> int:
        return (sample - self._window // 2) // self._hop - self._first_hop

    def _hear(self, window: NDArray[np.float64]) -> None:
        power = np.abs(np.fft.rfft(window * self._taper)) ** 2 / (self._taper.sum() / 2) ** 2 / 2
        level_db = float(10 * np.log10(power[self._audible].sum() + 1e-12))
        self._gate(level_db)
        if self._speaking:
            self._peak_db = max(level_db, self._peak_db - _PEAK_FALL_DB)
        bands_db = 10 * np.log10(self._bands @ power + 1e-10)
        below = (bands_db - self._peak_db + _BAND_RANGE_DB) / _BAND_RANGE_DB
        self._features.append(np.clip(below, 0, 1.2))
        opening = (level_db - self._peak_db + _RANGE_DB) / (_RANGE_DB - 3)
        self._levels.append(min(1.0, max(0.01, opening)) if self._speaking else 0.0)

    def _gate(self, level_db: float) -> None:
        if level_db >= _OPEN_DB:
            self._speaking, self._quiet_hops = True, 0
        elif self._speaking and level_db < _CLOSE_DB:
            self._quiet_hops += 1
            self._speaking = self._quiet_hops < _HANGOVER_HOPS
        else:
            self._quiet_hops = 0
