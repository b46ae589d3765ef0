"""Rejects text that the model has written although nobody spoke.

Trained on whole sentences, it completes a click, a breath or the room to "You" or "Thank you for
watching."
"""

from __future__ import annotations

import math
import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.asr.engine import DECODER_RATE_HZ
from services.asr.engines.moonshine.decoded import Decoded

FRAME_SAMPLES: Final = DECODER_RATE_HZ // 50
_QUIETEST: Final = 10.0
_OVER_FLOOR: Final = 2.0
_LEAST_SOUND_S: Final = 0.1
_LEAST_PROBABILITY: Final = 0.3
_FOREIGN_PROBABILITY: Final = 0.55
_FOREIGN_SOUND_S: Final = 1.0
_FOREIGN_WORDS: Final = 3
# People say about 15 characters a second, and 25 when they hurry.
_CHARACTERS_PER_S: Final = 30
_CHARACTERS_BESIDES: Final = 6
# The service adds some audio before the speech and silence after it.
_AROUND_S: Final = 0.45
_LETTER: Final = re.compile(r"[A-Za-z0-9]")
_ENDED: Final = re.compile(r"[.?!,;:…%]['\")]?$")


def is_plausible(decoded: Decoded, samples: NDArray[np.int16]) -> bool:
    """Returns whether a person can have said a text.

    There must be a sound, and time to say the text. The text must have letters. A single word must
    end with a mark: the model puts one after every word that it has really heard.

    Args:
        decoded: The text.
        samples: The audio it was found in, mono at 16 kHz.
    """
    text = decoded.text
    if not _LETTER.search(text) or (" " not in text and not _ENDED.search(text)):
        return False
    time_s = max(len(samples) / DECODER_RATE_HZ - _AROUND_S, 0.0)
    enough = len(text) <= _CHARACTERS_BESIDES + time_s * _CHARACTERS_PER_S
    likely = decoded.log_probability >= math.log(_LEAST_PROBABILITY)
    return enough and likely and sound_seconds(samples) >= _LEAST_SOUND_S


def is_foreign(decoded: Decoded, samples: NDArray[np.int16]) -> bool:
    """Returns whether a text was probably written for speech in another language than English.

    Of 21 sentences in Chinese, French, Spanish and Italian 20 have a probability below the limit,
    of 48 in English, twelve of them with noise at 5 dB, one.

    Args:
        decoded: The text.
        samples: The audio it was found in, mono at 16 kHz.
    """
    unsure = decoded.log_probability < math.log(_FOREIGN_PROBABILITY)
    long = len(decoded.words) >= _FOREIGN_WORDS and sound_seconds(samples) >= _FOREIGN_SOUND_S
    return unsure and long


def sound_seconds(samples: NDArray[np.int16]) -> float:
    """Returns how long there was a sound clearly above that of the room.

    Args:
        samples: Mono at 16 kHz.
    """
    return float(np.count_nonzero(sounding(samples)) * FRAME_SAMPLES / DECODER_RATE_HZ)


def sounding(samples: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Returns for each frame of 20 ms whether there was a sound clearly above that of the room.

    The room is the quietest tenth of the frames.

    Args:
        samples: Mono at 16 kHz; what is no whole frame at the end is left out.
    """
    whole = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].astype(np.float64)
    frames = whole.reshape(-1, FRAME_SAMPLES)
    if not len(frames):
        return np.zeros(0, np.bool_)
    level = np.sqrt(np.mean(frames**2, axis=1))
    floor = max(float(np.quantile(level, 0.1)), _QUIETEST)
    loud: NDArray[np.bool_] = level > floor * _OVER_FLOOR
    return loud
