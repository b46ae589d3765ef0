"""Joins the results of the parts of an utterance."""

import itertools
import re

from services.asr.engine import Hypothesis
from text.scripts import CJK_PUNCTUATION, UNSPACED

_UNSPACED = re.compile(f"[{UNSPACED}{CJK_PUNCTUATION}]")


def join(parts: tuple[Hypothesis, ...]) -> Hypothesis:
    """Returns one hypothesis for the segments of an utterance.

    Its confidence is the mean over its words, or over its parts where there are no words; None if
    any of these is unknown. Its language is that of the first part that has one. It is foreign if
    every part is.
    """
    foreign = bool(parts) and all(part.foreign for part in parts)
    parts = tuple(part for part in parts if part.text)
    words = tuple(itertools.chain.from_iterable(part.words for part in parts))
    rated = [word.confidence for word in words] or [part.confidence for part in parts]
    known = [confidence for confidence in rated if confidence is not None]
    text = ""
    for part in parts:
        text += (" " if _is_spaced(text, part.text) else "") + part.text
    return Hypothesis(
        text=text,
        words=words,
        confidence=sum(known) / len(known) if known and len(known) == len(rated) else None,
        language=next((part.language for part in parts if part.language), ""),
        foreign=foreign,
    )


def _is_spaced(before: str, after: str) -> bool:
    if not before:
        return False
    return not (_UNSPACED.match(before[-1]) or _UNSPACED.match(after[0]))
