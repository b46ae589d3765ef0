"""Names that are likely to be said in a conversation, for the recogniser."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

MOST_WORDS: Final = 100
_LONGEST_TEXT: Final = 4_000
_WORD: Final = re.compile(r"[^\W_][\w'’-]*")
_ENDS_SENTENCE: Final = re.compile(r"[.?!:;\n\"“”(*#>-]\s*$")
_MOST_CHARACTERS: Final = 40


@lru_cache(maxsize=512)
def names_in(text: str, *, is_sentence: bool = True) -> tuple[str, ...]:
    """Returns the words of a text that are written as names: with a capital or a digit in them.

    Args:
        text: The text; of a long one the beginning is read.
        is_sentence: Whether a capital at the beginning of a sentence means nothing.
    """
    return tuple(dict.fromkeys(_names(text[:_LONGEST_TEXT], is_sentence=is_sentence)))


def _names(text: str, *, is_sentence: bool) -> Iterator[str]:
    for match in _WORD.finditer(text):
        word = match[0].removesuffix("'s").removesuffix("’s").strip("'’-")
        before = text[: match.start()]
        begins = is_sentence and (not before.strip() or _ENDS_SENTENCE.search(before[-3:]))
        shape = word[1:] if begins else word
        if 1 < len(word) <= _MOST_CHARACTERS and word.isascii() and any(map(str.isupper, shape)):
            yield word


def likeliest(texts: Iterable[tuple[str, bool]]) -> list[str]:
    """Returns the names in texts, without repetition, `MOST_WORDS` at most.

    Args:
        texts: Each with whether it consists of sentences; those that matter most come first.
    """
    found: dict[str, None] = {}
    for text, is_sentence in texts:
        found |= dict.fromkeys(names_in(text, is_sentence=is_sentence))
        if len(found) >= MOST_WORDS:
            break
    return list(found)[:MOST_WORDS]
