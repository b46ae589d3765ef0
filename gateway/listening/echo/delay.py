"""Whether a microphone hears the loudspeaker, and how long after the audio was sent."""

from __future__ import annotations

from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

_RATE_HZ: Final = 8_000
_HEARD_S: Final = 0.8
"""The length of the microphone audio that is searched for what was played."""
_LEAST_HEARD_S: Final = 0.3
_LONGEST_S: Final = 2.5
_LONGEST: Final = round(_LONGEST_S * _RATE_HZ)
_SURE: Final = 9.0
"""The least height of a peak, in standard deviations: among so many values chance reaches 5."""

_SOUNDING: Final = 0.1
_LEAST_DELAYS: Final = round(0.25 * _RATE_HZ)

Samples = NDArray[np.int16]


class EchoDelay:
    """Finds what was played in what was heard, by the phase of their cross-spectrum (GCC-PHAT).

    Method: Knapp and Carter, "The generalized correlation method for estimation of time delay",
    1976. All frequencies count the same, so that an echo far below the noise is found.

    Args:
        played_hz: The rate of what is played.
        heard_hz: The rate of the microphone.
    """

    def __init__(self, *, played_hz: int, heard_hz: int) -> None:
        self._played_hz = played_hz
        self._heard_hz = heard_hz
        self._heard: Samples = np.zeros(0, np.int16)

    @property
    def window_s(self) -> float:
        """The length of the audio that was played, up to now, which `find_s` needs, seconds."""
        return _LONGEST_S + _HEARD_S

    def add(self, heard: Samples) -> None:
        """Takes microphone audio that follows on the audio before."""
        kept = round(_HEARD_S * self._heard_hz)
        self._heard = np.concatenate([self._heard, heard])[-kept:]

    def clear(self) -> None:
        """Forgets the microphone audio: what follows does not continue it."""
        self._heard = self._heard[:0]

    def find_s(self, played: Samples) -> float | None:
        """Returns the delay of the echo, seconds.

        Args:
            played: What was played in the last `window_s` before the end of the microphone audio.

        Returns:
            The delay; None if nothing of it is heard.
        """
        if len(self._heard) < _LEAST_HEARD_S * self._heard_hz:
            return None
        heard = _at_low_rate(self._heard, self._heard_hz)
        played_low = _at_low_rate(played, self._played_hz)[-(_LONGEST + len(heard)) :]
        # Only delays at which all of the microphone audio lies within are used: nothing wraps.
        count = 1 << (len(played_low) - 1).bit_length()
        cross = np.fft.rfft(played_low, count) * np.conj(np.fft.rfft(heard, count))
        level = np.abs(cross)
        cross /= np.maximum(level, 1e-3 * float(level.max()) + 1e-9)
        alike = np.fft.irfft(cross, count)[: len(played_low) - len(heard) + 1]
        # Where little was played, chance is smaller, and the rest would stand out.
        power = np.concatenate([[0.0], np.cumsum(played_low**2)])
        power = power[len(heard) :] - power[: -len(heard)]
        sounding = power > _SOUNDING * float(power.max())
        if np.count_nonzero(sounding) < _LEAST_DELAYS:
            return None
        alike = np.where(sounding, alike, 0.0)
        best = int(np.argmax(alike))
        if alike[best] < _SURE * float(np.std(alike[sounding])):
            return None
        return (len(played_low) - len(heard) - best) / _RATE_HZ


def _at_low_rate(samples: Samples, rate_hz: int) -> NDArray[np.float64]:
    low: NDArray[np.float64] = soxr.resample(samples.astype(np.float64), rate_hz, _RATE_HZ, "LQ")
    return low
