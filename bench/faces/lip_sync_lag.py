"""Finds by how many frames a mouth is off its sound, without a trained network.

A ridge regression from log-mel energies to the mouth is cross-validated for every lag; the lag with
the best prediction is the offset between sound and mouth. Correlating loudness and opening does not
work: in fluent speech the mouth follows the sounds, not the level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_LAG_FRAMES = 12
_BANDS = 24
_CONTEXT = 3
_FOLDS = 4
_RIDGE = 10.0
_WINDOW_S = 0.032


def mel_energies(
    audio: NDArray[np.int16], sample_rate_hz: int, frame_rate_hz: int
) -> NDArray[np.float64]:
    """Returns log-mel energies at the start of every video frame, shape (frames, 24)."""
    window = round(_WINDOW_S * sample_rate_hz)
    taper = np.hanning(window)
    hz = np.fft.rfftfreq(window, 1 / sample_rate_hz)
    top = 2595 * np.log10(1 + min(7600, sample_rate_hz / 2) / 700)
    edges = 700 * (10 ** (np.linspace(0, top, _BANDS + 2) / 2595) - 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = np.clip(np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)), 0, 1)
    padded = np.pad(audio / 32768, (window // 2, window))
    frames = len(audio) * frame_rate_hz // sample_rate_hz
    starts = [frame * sample_rate_hz // frame_rate_hz for frame in range(frames)]
    power = [np.abs(np.fft.rfft(padded[s : s + window] * taper)) ** 2 for s in starts]
    return np.asarray(np.log10(np.array(power) @ filters.T + 1e-6))


def lag_and_confidence(
    sound: NDArray[np.float64], mouth: NDArray[np.float64]
) -> tuple[int, float, float]:
    """Returns the lag in frames, the correlation at that lag, and the confidence.

    Args:
        sound: Shape (frames, bands).
        mouth: Shape (frames, measures).

    Returns:
        A positive lag means that the mouth is late; the confidence is the peak's correlation minus
        the median over all lags.
    """
    lags = range(-MAX_LAG_FRAMES, MAX_LAG_FRAMES + 1)
    scores = [_score(sound, mouth, lag) for lag in lags]
    best = int(np.argmax(scores))
    return lags[best], scores[best], scores[best] - float(np.median(scores))


def _score(sound: NDArray[np.float64], mouth: NDArray[np.float64], lag: int) -> float:
    rim = MAX_LAG_FRAMES + _CONTEXT
    rows = np.arange(rim, len(sound) - rim)
    x = np.hstack([sound[rows + shift] for shift in range(-_CONTEXT, _CONTEXT + 1)])
    x = np.hstack([(x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9), np.ones((len(rows), 1))])
    y = mouth[rows + lag]
    guess = np.empty_like(y)
    for test in np.array_split(np.arange(len(rows)), _FOLDS):
        train = np.setdiff1d(np.arange(len(rows)), test)
        gram = x[train].T @ x[train] + _RIDGE * np.eye(x.shape[1])
        guess[test] = x[test] @ np.linalg.solve(gram, x[train].T @ y[train])
    pairs = [np.corrcoef(guess[:, k], y[:, k])[0, 1] for k in range(y.shape[1])]
    return float(np.mean(pairs))
