"""Loudness without clipping."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.tts.engine import Samples

_FULL_SCALE = 32767
_KNEE = 0.7 * _FULL_SCALE


def with_volume(samples: Samples, percent: int) -> Samples:
    """Scales samples; peaks are compressed smoothly towards full scale instead of being clipped.

    Up to 70 % of full scale the gain is exact; above, the excess goes through tanh, whose slope
    there is 1.

    Args:
        samples: Signed 16-bit.
        percent: 100 leaves them unchanged.
    """
    if percent == 100:
        return samples
    scaled = samples.astype(np.float64) * (percent / 100)
    return limited(scaled) if percent > 100 else np.round(scaled).astype(np.int16)


def limited(scaled: NDArray[np.float64]) -> Samples:
    """Converts samples to 16 bits; those above 70 % of full scale are compressed, never clipped.

    Args:
        scaled: 32,767 is full scale; changed in place.
    """
    size = np.abs(scaled)
    over = size > _KNEE
    room = _FULL_SCALE - _KNEE
    scaled[over] = np.sign(scaled[over]) * (_KNEE + room * np.tanh((size[over] - _KNEE) / room))
    return np.round(scaled).astype(np.int16)
