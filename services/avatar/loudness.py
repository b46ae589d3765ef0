"""The mouth from the sound alone.

Energy of the first formant opens it, brightness widens it, hiss nearly closes it.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from services.avatar.parameters import MouthShape

_HOP_S = 0.01
_WINDOW_S = 0.025
_KEEP_S = 0.5
_OPEN_DB, _CLOSE_DB = -48.0, -54.0
"""Hysteresis of speech, dB of full scale; quieter is silence whatever the speaker's level."""
_HANGOVER_HOPS = 5
_RANGE_DB = 26.0
_PEAK_FALL_DB = 0.03
_SILENCE = MouthShape()


class SoundTrack:
    """Analyses the audio of one turn in hops of 10 ms."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._hop = max(1, round(_HOP_S * sample_rate_hz))
        self._window = max(self._hop, round(_WINDOW_S * sample_rate_hz))
        self._taper = np.hanning(self._window)
        hz = np.fft.rfftfreq(self._window, 1 / sample_rate_hz)
        self._first = (hz >= 200) & (hz < 1000)
        self._second = (hz >= 1500) & (hz < 3500)
        self._hiss = hz >= 3500
        self._pending = np.zeros(0)
        self._mouths: deque[MouthShape] = deque()
        self._levels: deque[float] = deque()
        self._first_hop = 0
        self._peak_db = -22.0
        self._speaking = False
        self._quiet_hops = 0
        self.sample_count = 0

    def add(self, samples: NDArray[np.int16]) -> None:
        """Takes audio that follows what was given before."""
        self.sample_count += len(samples)
        self._pending = np.concatenate([self._pending, samples / 32768.0])
        while len(self._pending) >= self._window:
            self._hear(self._pending[: self._window])
            self._pending = self._pending[self._hop :]

    def forget(self, sample: int) -> None:
        """Drops what lies well before a sample."""
        oldest = (sample // self._hop) - round(_KEEP_S / _HOP_S)
        while self._mouths and self._first_hop < oldest:
            self._mouths.popleft()
            self._levels.popleft()
            self._first_hop += 1

    def mouth_at(self, sample: int) -> MouthShape:
        """Returns the mouth that the sound at a sample asks for; closed where none is heard yet."""
        index = self._index(sample)
        return self._mouths[index] if 0 <= index < len(self._mouths) else _SILENCE

    def level_at(self, sample: int) -> float:
        """Returns how loud the speech is, 0 to 1 of the speaker's own range."""
        index = self._index(sample)
        return self._levels[index] if 0 <= index < len(self._levels) else 0.0

    def _index(self, sample: int) -> int:
        return (sample - self._window // 2) // self._hop - self._first_hop

    def _hear(self, window: NDArray[np.float64]) -> None:
        power = np.abs(np.fft.rfft(window * self._taper)) ** 2 / (self._taper.sum() / 2) ** 2 / 2
        first, second, hiss = (
            float(power[band].sum()) for band in (self._first, self._second, self._hiss)
        )
        level_db = 10 * np.log10(first + second + hiss + 1e-12)
        self._gate(level_db)
        if not self._speaking:
            self._mouths.append(_SILENCE)
            self._levels.append(0.0)
            return
        self._peak_db = max(level_db, self._peak_db - _PEAK_FALL_DB)
        first_db = 10 * np.log10(first + 1e-12)
        opening = float(np.clip((first_db - self._peak_db + _RANGE_DB) / (_RANGE_DB - 3), 0, 1))
        bright = second / (first + second + 1e-12)
        if hiss > 1.5 * (first + second):
            self._mouths.append(MouthShape(jaw=0.12, width=0.4))
        else:
            width = float(np.clip((bright - 0.08) / 0.3, 0, 1))
            rounding = float(np.clip((0.025 - bright) / 0.025, 0, 1)) * 0.6
            self._mouths.append(
                MouthShape(jaw=opening**1.6 * 0.9, width=0.6 * width, rounding=rounding)
            )
        self._levels.append(opening)

    def _gate(self, level_db: float) -> None:
        if level_db >= _OPEN_DB:
            self._speaking, self._quiet_hops = True, 0
        elif self._speaking and level_db < _CLOSE_DB:
            self._quiet_hops += 1
            self._speaking = self._quiet_hops < _HANGOVER_HOPS
        else:
            self._quiet_hops = 0
