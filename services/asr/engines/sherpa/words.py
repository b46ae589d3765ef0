"""Words with times from the tokens of a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from services.asr.engine import DECODER_RATE_HZ, Word
from text.scripts import UNSPACED

_SPACE: Final = "▁"
_LONGEST_S: Final = 0.6
"""Tokens have no ends: a word ends with the next one, but never lasts longer than this."""
_UNSPACED: Final = re.compile(f"[{UNSPACED}]")


def words_of(tokens: Sequence[str], starts_s: Sequence[float], samples: int) -> tuple[Word, ...]:
    """Returns the words that tokens spell; none if the model gives no times.

    A word begins with a token that begins with a space (as " " or "▁"), and each character of a
    script without spaces is a word. Punctuation belongs to the word before it.

    Args:
        tokens: The pieces of text.
        starts_s: The start of each, in seconds.
        samples: The length of the audio at 16 kHz.
    """
    if not tokens or len(tokens) != len(starts_s):
        return ()
    found: list[tuple[str, float, float]] = []
    for token, start_s in zip(tokens, starts_s, strict=True):
        text = token.replace(_SPACE, " ")
        if found and not _begins_word(found[-1][0], text):
            before, began_s, _ = found[-1]
            found[-1] = (before + text, began_s, start_s)
        else:
            found.append((text.lstrip(), start_s, start_s))
    words = []
    ends_s = [*(start_s for _, start_s, _ in found[1:]), samples / DECODER_RATE_HZ]
    for (text, start_s, last_s), end_s in zip(found, ends_s, strict=True):
        start = min(round(start_s * DECODER_RATE_HZ), samples)
        end = min(round(min(end_s, last_s + _LONGEST_S) * DECODER_RATE_HZ), samples)
        if text.strip():
            words.append(
                Word(text=text.strip(), start_sample=start, sample_count=max(end - start, 0))
            )
    return tuple(words)


def _begins_word(before: str, text: str) -> bool:
    plain = text.strip()
    if not before.strip() or not plain or not plain[0].isalnum():
        return False
    if before[-1].isspace() or text[0].isspace():
        return True
    return bool(_UNSPACED.match(plain[0]) or _UNSPACED.match(before[-1]))
