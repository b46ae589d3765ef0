"""The result of the model for a piece of audio."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DecodedWord:
    """A word, with the punctuation that follows it.

    Attributes:
        text: The word.
        log_probability: The mean of the natural logarithms of the probabilities of its ids, without
            those of punctuation.
    """

    text: str
    log_probability: float


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The text of a piece of audio.

    Attributes:
        words: Its words, with case and punctuation.
        log_probability: The mean of the natural logarithms of the probabilities of the chosen ids,
            the end included.
        finished: False if the decoder was cut off by the cap of ids.
        foreign: Whether the audio was probably speech in another language than the model's.
    """

    words: tuple[DecodedWord, ...]
    log_probability: float
    finished: bool
    foreign: bool = False

    @property
    def text(self) -> str:
        """The words, separated by spaces."""
        return " ".join(word.text for word in self.words)
