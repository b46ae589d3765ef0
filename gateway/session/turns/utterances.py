"""Classifies short utterances: nothing, a backchannel, a command to stop, or speech.

The words are those that people say while somebody else goes on speaking, for all languages in
`gateway.wording` at once. A recogniser turns a cough into a short word, so such words count only in
longer utterances.
"""

from __future__ import annotations

import enum

from gateway.wording.book import BOOKS, Utterances
from text.normal import normal

# The longest sound that can only be a backchannel or a cough.
SHORT_S = 0.6


class Said(enum.Enum):
    """The kind of an utterance while somebody else speaks."""

    NOTHING = enum.auto()
    BACKCHANNEL = enum.auto()
    STOP = enum.auto()
    SPEECH = enum.auto()


def classify(text: str, *, seconds: float = 0.0) -> Said:
    """Returns the kind of an utterance.

    Args:
        text: The recognised text.
        seconds: The duration of the speech; 0 if it is not known.
    """
    plain = normal(text)
    words = plain.split()
    if not words:
        return Said.NOTHING
    known = [book.utterances for book in BOOKS.values()]
    if any(plain in of.stops or plain.replace(" ", "") in of.stops for of in known):
        return Said.STOP
    if seconds <= SHORT_S and any(plain in of.coughs for of in known):
        return Said.NOTHING
    if any(_is_backchannel(plain, words, of) for of in known):
        return Said.BACKCHANNEL
    return Said.SPEECH


def _is_backchannel(plain: str, words: list[str], of: Utterances) -> bool:
    return plain in of.phrases or of.backchannel_words.issuperset(words)
