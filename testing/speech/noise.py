"""Noise for recordings, at a given ratio of speech to noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from testing.speech.recordings import RATE_HZ

_FRAME = RATE_HZ // 50


def with_noise(samples: NDArray[np.int16], ratio_db: float) -> NDArray[np.int16]:
    """Returns a recording with pink noise, as from a ventilation.

    Args:
        samples: Mono at 16 kHz.
        ratio_db: The level of the speech, without its pauses, above that of the noise.
    """
    noise = _pink(len(samples))
    noise *= _speech_level(samples) / 10 ** (ratio_db / 20) / np.sqrt(np.mean(noise**2))
    return (samples + noise).clip(-32768, 32767).astype(np.int16)


def _speech_level(samples: NDArray[np.int16]) -> float:
    """Returns the root mean square of the louder half of the frames."""
    whole = samples[: len(samples) // _FRAME * _FRAME].astype(np.float64).reshape(-1, _FRAME)
    power = np.sort(np.mean(whole**2, axis=1))
    return float(np.sqrt(np.mean(power[len(power) // 2 :])))


def _pink(count: int) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(np.random.default_rng(5).normal(size=count))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    return np.fft.irfft(spectrum, count)
