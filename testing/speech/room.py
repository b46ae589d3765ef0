"""The way from a loudspeaker to a microphone: a direct path and a tail that decays."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_TAIL_S: Final = 0.1
_DECAY_S: Final = 0.02
_DIRECT: Final = 3.0
_NOISE: Final = 3.0


class Room:
    """Returns what a microphone hears of a loudspeaker, piece by piece.

    Args:
        rate_hz: Samples per second.
        delay_s: How long the sound is under way, buffers included.
        level_db: How loud it arrives beside what is played.
        seed: Of the walls and of the noise.
    """

    def __init__(self, *, rate_hz: int, delay_s: float, level_db: float, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        count = round(_TAIL_S * rate_hz)
        decay = np.exp(-np.arange(count) / (_DECAY_S * rate_hz))
        walls = self._random.standard_normal(count) * decay
        walls[0] += _DIRECT
        self._walls = walls * 10 ** (level_db / 20) / np.sqrt((walls**2).sum())
        self._under_way = np.zeros(round(delay_s * rate_hz))
        self._arriving = np.zeros(0)

    def hear(self, played: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns as many samples as are played, with the noise of the room."""
        count = len(played)
        self._under_way = np.concatenate([self._under_way, played])
        now, self._under_way = self._under_way[:count], self._under_way[count:]
        missing = count + len(self._walls) - 1 - len(self._arriving)
        self._arriving = np.concatenate([self._arriving, np.zeros(max(0, missing))])
        self._arriving[: count + len(self._walls) - 1] += np.convolve(now, self._walls)
        heard, self._arriving = self._arriving[:count], self._arriving[count:]
        return heard + self._random.standard_normal(count) * _NOISE


def as_pcm(samples: NDArray[np.float64]) -> bytes:
    """Returns int16 samples, little-endian; what is too loud is clipped."""
    return np.clip(samples, -32_768, 32_767).astype("<i2").tobytes()
