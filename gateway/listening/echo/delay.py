"""Whether a microphone hears the loudspeaker, and how long after the audio was sent."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

FRAME_S: Final = 0.01
_RATE_HZ: Final = 8_000
_HEARD: Final = round(0.8 * _RATE_HZ)
"""The microphone audio that is searched for what was played."""
_LEAST_HEARD: Final = round(0.3 * _RATE_HZ)
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
        self._heard: NDArray[np.float64] = np.zeros(0)

    @property
    def window_s(self) -> float:
        """The length of the audio that was played, up to now, which `find_s` needs, seconds."""
        return _LONGEST_S + _HEARD / _RATE_HZ

    def add(self, heard: Samples) -> None:
        """Takes microphone audio that follows on the audio before."""
        more = _at_low_rate(heard, self._heard_hz)
        self._heard = np.concatenate([self._heard, more])[-_HEARD:]

    def clear(self) -> None:
        """Forgets the microphone audio: what follows does not continue it."""
        self._heard = np.zeros(0)

    def find_s(self, played: Samples) -> float | None:
        """Returns the delay of the echo, seconds.

        Args:
            played: What was played in the last `window_s` before the end of the microphone audio.

        Returns:
            The delay; None if nothing of it is heard.
        """
        heard = self._heard
        if len(heard) < _LEAST_HEARD:
            return None
        played_low = _at_low_rate(played, self._played_hz)[-(_LONGEST + len(heard)) :]
        count = 1 << (len(played_low) + len(heard) - 1).bit_length()
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
    """Returns samples at 8 kHz; what is above 4 kHz is only weakened, which does no harm here."""
    wide = max(1, round(rate_hz / _RATE_HZ))
    smooth = np.convolve(samples.astype(np.float64), np.full(wide, 1 / wide), mode="same")
    places = np.arange(0, len(samples), rate_hz / _RATE_HZ)
    return np.interp(places, np.arange(len(samples)), smooth) if len(samples) else smooth
