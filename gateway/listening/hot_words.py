"""Names that are likely to be said in a conversation, for the recogniser."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

MOST_WORDS: Final = 100
_MOST_READ: Final = 8_000
"""So many characters are read for one utterance, so that a long conversation costs no more."""
_WORD: Final = re.compile(r"[^\W_][\w'’-]*")
_ENDS_SENTENCE: Final = re.compile(r"[.?!:;\n\"“”(*#>-]\s*$")
_MOST_CHARACTERS: Final = 40


def names_in(text: str, *, is_sentence: bool = True) -> tuple[str, ...]:
    """Returns the words of a text that are written as names, with a capital letter.

    Args:
        text: The text.
        is_sentence: Whether a capital at the beginning of a sentence means nothing.
    """
    return tuple(dict.fromkeys(_names(text, is_sentence=is_sentence)))


def _names(text: str, *, is_sentence: bool) -> Iterator[str]:
    for number, match in enumerate(_WORD.finditer(text)):
        word = match[0].removesuffix("'s").removesuffix("’s").strip("'’-")
        before = text[max(match.start() - 3, 0) : match.start()]
        begins = is_sentence and (number == 0 or _ENDS_SENTENCE.search(before))
        shape = word[1:] if begins else word
        if 1 < len(word) <= _MOST_CHARACTERS and word.isascii() and any(map(str.isupper, shape)):
            yield word


def likeliest(texts: Iterable[tuple[str, bool]]) -> list[str]:
    """Returns the names in texts, without repetition, `MOST_WORDS` at most.

    Args:
        texts: Each with whether it consists of sentences; those that matter most come first.
    """
    found: dict[str, None] = {}
    left = _MOST_READ
    for text, is_sentence in texts:
        found |= dict.fromkeys(names_in(text[:left], is_sentence=is_sentence))
        left -= len(text)
        if len(found) >= MOST_WORDS or left <= 0:
            break
    return list(found)[:MOST_WORDS]
