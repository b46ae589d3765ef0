"""The log-mel spectrogram that encoders of the Whisper family expect, in numpy.

Radford et al. 2022 (arXiv 2212.04356), section 2.2: 25 ms Hann windows every 10 ms, 80 mel bands on
the scale of Slaney's Auditory Toolbox (1998), logarithms clipped 8 decades below the loudest value
and scaled to about -1..1. The tests compare it with the feature extractor of transformers.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
BANDS = 80
HOP_SAMPLES = 160
_WINDOW_SAMPLES = 400
_DECADES = 8.0
_FLOOR = 1e-10
# Slaney's scale is linear up to 1,000 Hz, which is mel 15, and logarithmic above.
_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1_000.0
_BREAK_MEL = 15.0
_LOG_STEP = np.log(6.4) / 27


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the spectrogram of mono audio at 16 kHz.

    Args:
        samples: Shape [n], n a multiple of 160.

    Returns:
        Shape [80, n / 160].
    """
    padded = np.pad(samples.astype(np.float64), _WINDOW_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW_SAMPLES)[::HOP_SAMPLES]
    window = np.hanning(_WINDOW_SAMPLES + 1)[:-1]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    # The window centred after the last sample is left out.
    logs = np.log10(np.maximum(_bands() @ power[:-1].T, _FLOOR))
    logs = np.maximum(logs, logs.max() - _DECADES)
    scaled: NDArray[np.float32] = ((logs + 4.0) / 4.0).astype(np.float32)
    return scaled


@cache
def _bands() -> NDArray[np.float64]:
    """Returns the weights of the bands, shape [80, 201]: triangles of equal area."""
    top = _to_mel(RATE_HZ / 2)
    edges = np.array([_to_hz(mel) for mel in np.linspace(0.0, top, BANDS + 2)])
    bins = np.linspace(0.0, RATE_HZ / 2, _WINDOW_SAMPLES // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    weights: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling)) * 2 / (high - low)
    return weights


def _to_mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _HZ_PER_MEL
    return float(_BREAK_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP)


def _to_hz(mel: float) -> float:
    if mel < _BREAK_MEL:
        return mel * _HZ_PER_MEL
    return float(_BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL)))
