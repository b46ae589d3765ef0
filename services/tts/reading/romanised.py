"""Words of scripts that no voice knows, in Latin letters, so that they are not silent."""

from __future__ import annotations

import unicodedata

from services.tts.reading.spoken import Spoken


def romanised(text: str) -> Spoken:
    """Returns a text whose words in other scripts are romanised by the library anyascii.

    A character that it does not know is said by its Unicode name.
    """
    changes: list[tuple[int, int, str]] = []
    for start, end in _words(text):
        word = text[start:end]
        changes.append((start, end, _romanised(word) or _names(word)))
    return Spoken.of(text).replaced(changes)


def _words(text: str) -> list[tuple[int, int]]:
    """Returns the runs of letters that are not ASCII, with the marks on them."""
    words: list[tuple[int, int]] = []
    for at, char in enumerate(text):
        if char.isascii() or unicodedata.category(char)[0] not in "LMN":
            continue
        if words and words[-1][1] == at:
            words[-1] = (words[-1][0], at + 1)
        else:
            words.append((at, at + 1))
    return words


def _romanised(word: str) -> str:
    from anyascii import anyascii  # reads its tables when it is first needed

    return " ".join(anyascii(word).split())


def _names(word: str) -> str:
    return " ".join(unicodedata.name(char, "").lower() for char in word).strip()
