"""Approximate times of words.

The model does not give away where it listens. The words share the stretches that have a sound, each
in proportion to the time that people need for as many letters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.asr.engines.moonshine.plausible import FRAME_SAMPLES, sounding

_DIGIT: Final = re.compile(r"[0-9]")
_LETTER: Final = re.compile(r"[^\W\d_]")
_LETTERS_PER_DIGIT: Final = 4
_LETTERS_BESIDES: Final = 1


def spans(words: Sequence[str], samples: NDArray[np.int16]) -> list[tuple[int, int]]:
    """Returns the first sample of each word and the sample after its last one.

    Args:
        words: The words in order.
        samples: The audio in which they were heard, mono at 16 kHz.
    """
    if not words:
        return []
    loud = sounding(samples)
    frames = np.flatnonzero(loud) if loud.any() else np.arange(max(len(loud), 1))
    letters = np.cumsum([0, *map(_letters, words)])
    edges = letters / letters[-1] * len(frames)
    firsts = np.minimum(np.rint(edges[:-1]), len(frames) - 1).astype(int)
    lasts = np.clip(np.rint(edges[1:]) - 1, firsts, len(frames) - 1).astype(int)
    return [
        (
            min(int(frames[first]) * FRAME_SAMPLES, len(samples)),
            min((int(frames[last]) + 1) * FRAME_SAMPLES, len(samples)),
        )
        for first, last in zip(firsts, lasts, strict=True)
    ]


def _letters(word: str) -> int:
    digits = len(_DIGIT.findall(word))
    return len(_LETTER.findall(word)) + _LETTERS_PER_DIGIT * digits + _LETTERS_BESIDES
