"""Splits long audio at its quietest places into pieces that the model can decode quickly."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.asr.engine import DECODER_RATE_HZ

MOST_SAMPLES: Final = 16 * DECODER_RATE_HZ
_LEAST_SAMPLES: Final = 10 * DECODER_RATE_HZ
_WINDOW: Final = DECODER_RATE_HZ // 10


def pieces(samples: NDArray[np.int16]) -> list[NDArray[np.int16]]:
    """Returns audio in pieces of 10 to 16 s, of which the last one may be shorter.

    The places do not depend on what follows later, so that the pieces of growing audio stay the
    same.

    Args:
        samples: Mono at 16 kHz, shape [samples].
    """
    found: list[NDArray[np.int16]] = []
    rest = samples
    while len(rest) > MOST_SAMPLES:
        at = _LEAST_SAMPLES + _quietest(rest[_LEAST_SAMPLES:MOST_SAMPLES])
        found.append(rest[:at])
        rest = rest[at:]
    return [*found, rest]


def _quietest(samples: NDArray[np.int16]) -> int:
    """Returns the middle of the tenth of a second with the least energy."""
    energy = np.cumsum(np.square(samples.astype(np.float64)))
    return int(np.argmin(energy[_WINDOW:] - energy[:-_WINDOW])) + _WINDOW // 2
