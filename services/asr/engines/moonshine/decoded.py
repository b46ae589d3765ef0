"""The result of the model for a piece of audio."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The text of a piece of audio.

    Attributes:
        text: The text, with case and punctuation.
        log_probability: The mean of the natural logarithms of the probabilities of the chosen ids,
            the end included.
        finished: False if the decoder was cut off by the cap of ids.
    """

    text: str
    log_probability: float
    finished: bool
