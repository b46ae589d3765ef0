"""The log-mel spectrogram that Whisper's encoder reads, with numpy alone.

The method is that of `whisper/audio.py` in https://github.com/openai/whisper (MIT), with the mel
filters of Slaney's Auditory Toolbox as librosa computes them
(`librosa.filters.mel(sr=16000, n_fft=400, n_mels=bins)`), which OpenAI's package carries as a file.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.asr.engine import DECODER_RATE_HZ

FRAME_SAMPLES: Final = 160
FRAMES_PER_S: Final = DECODER_RATE_HZ // FRAME_SAMPLES
_WINDOW_SAMPLES: Final = 400
_FLOOR: Final = 1e-10
# Of the scale of Slaney: linear up to 1 kHz, then logarithmic.
_HZ_PER_MEL: Final = 200.0 / 3.0
_LOG_FROM_HZ: Final = 1000.0
_LOG_FROM_MEL: Final = _LOG_FROM_HZ / _HZ_PER_MEL
_LOG_STEP: Final = np.log(6.4) / 27.0


class LogMel:
    """Computes log-mel spectrograms.

    Args:
        bins: Mel bands: 80, or 128 for the large-v3 models.
    """

    def __init__(self, bins: int) -> None:
        self.bins = bins
        self._filters = mel_filters(bins).T.copy()
        self._window = np.hanning(_WINDOW_SAMPLES + 1)[:-1].astype(np.float32)

    def __call__(self, samples: NDArray[np.int16], frames: int) -> NDArray[np.float32]:
        """Returns the spectrogram of a recording that is followed by silence.

        Args:
            samples: Mono audio at 16 kHz, shape (samples,); what does not fit is left out.
            frames: The length of the result in steps of 10 ms.

        Returns:
            float32, shape (bins, frames), contiguous.
        """
        samples = samples[: frames * FRAME_SAMPLES]
        half = _WINDOW_SAMPLES // 2
        # Frames that lie in the silence wholly have no energy and need no transform.
        heard = min(frames, -(-(len(samples) + half) // FRAME_SAMPLES))
        needed = (heard - 1) * FRAME_SAMPLES + _WINDOW_SAMPLES
        audio = np.zeros(max(needed, len(samples) + 2 * half), np.float32)
        audio[half : half + len(samples)] = samples.astype(np.float32) / 32768.0
        audio[:half] = audio[half + 1 : 2 * half + 1][::-1]
        pieces = np.lib.stride_tricks.sliding_window_view(audio, _WINDOW_SAMPLES)
        spectrum = np.fft.rfft(pieces[::FRAME_SAMPLES][:heard] * self._window)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        energy = np.full((frames, self.bins), _FLOOR, np.float32)
        np.maximum(power @ self._filters, _FLOOR, out=energy[:heard])
        decades = np.log10(energy)
        np.maximum(decades, decades.max() - 8.0, out=decades)
        return np.ascontiguousarray(((decades + 4.0) / 4.0).T)


def mel_filters(bins: int) -> NDArray[np.float32]:
    """Returns triangular filters of equal area over the spectrum, shape (bins, 201)."""
    spectrum_hz = np.fft.rfftfreq(_WINDOW_SAMPLES, 1 / DECODER_RATE_HZ)
    edges_hz = _to_hz(np.linspace(0.0, _to_mel(DECODER_RATE_HZ / 2), bins + 2))
    widths_hz = np.diff(edges_hz)
    distances_hz = edges_hz[:, None] - spectrum_hz
    rising = -distances_hz[:-2] / widths_hz[:-1, None]
    falling = distances_hz[2:] / widths_hz[1:, None]
    areas = 2.0 / (edges_hz[2:] - edges_hz[:-2])
    filters: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling)) * areas[:, None]
    return filters.astype(np.float32)


def _to_mel(frequency_hz: float) -> float:
    return float(_LOG_FROM_MEL + np.log(frequency_hz / _LOG_FROM_HZ) / _LOG_STEP)


def _to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithmic = _LOG_FROM_HZ * np.exp(_LOG_STEP * (mels - _LOG_FROM_MEL))
    return np.where(mels < _LOG_FROM_MEL, mels * _HZ_PER_MEL, logarithmic)
