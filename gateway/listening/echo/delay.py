"""How long after it was sent the echo of a client's loudspeaker arrives."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

FRAME_S: Final = 0.01
_WINDOW: Final = 400
"""The most frames of microphone audio that are compared with what was played: 4 s."""
_LEAST: Final = 150
"""The least frames."""
MOST_FRAMES: Final = 250
"""The longest delay: 2.5 s."""
_SURE: Final = 0.6
"""The least correlation of an echo; that of two different voices is lower."""
_SILENT: Final = 40.0
"""The power of silence, of samples of 16 bits."""


class EchoDelay:
    """Estimates the delay by comparing the loudness of microphone and answer over time.

    The loudness of each frame on a logarithmic scale, with its mean removed, is correlated with
    that of the answer at all delays; the best one counts if it is high enough.

    Args:
        before: What was played in the `MOST_FRAMES` frames before the first one.
    """

    def __init__(self, before: NDArray[np.int16]) -> None:
        frames = before.reshape(MOST_FRAMES, -1)
        self._played = deque(map(_loudness, frames), maxlen=_WINDOW + MOST_FRAMES)
        self._heard: deque[float] = deque(maxlen=_WINDOW)

    def add(self, played: NDArray[np.int16], heard: NDArray[np.int16]) -> None:
        """Takes a frame of each, of the same time."""
        self._played.append(_loudness(played))
        self._heard.append(_loudness(heard))

    def estimate_s(self) -> float | None:
        """Returns the delay, seconds; None: there is no clear echo."""
        count = len(self._heard)
        if count < _LEAST:
            return None
        heard = np.fromiter(self._heard, np.float64)
        heard = heard - heard.mean()
        played = np.lib.stride_tricks.sliding_window_view(
            np.fromiter(self._played, np.float64), count
        )
        played = played - played.mean(axis=1, keepdims=True)
        scale = np.sqrt((played**2).sum(axis=1) * (heard**2).sum())
        alike = played @ heard / np.maximum(scale, 1e-6)
        best = int(np.argmax(alike))
        return (MOST_FRAMES - best) * FRAME_S if alike[best] >= _SURE else None


def _loudness(samples: NDArray[np.int16]) -> float:
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return float(np.log10(power + _SILENT))
