"""Normalises texts for comparison: those that sound alike, or those that are written alike."""

import re
import unicodedata
from typing import Final

_ACCENTS_ON_LATIN: Final = re.compile(r"(?<=[a-z])[\u0300-\u036f]+")
_APOSTROPHES: Final = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'"})


def normal(text: str) -> str:
    """Returns a text without case, punctuation and doubled white space."""
    kept = (
        "" if character in "'’-" else character if _is_word(character) else " "
        for character in unicodedata.normalize("NFKC", text).casefold()
    )
    return " ".join("".join(kept).split())


def _is_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")


def normalised(text: str) -> str:
    """Normalises a text for comparison: NFKC, lower case, Latin without accents."""
    if text.isascii():
        return text.lower()
    lowered = unicodedata.normalize("NFKD", text).lower().translate(_APOSTROPHES)
    return unicodedata.normalize("NFKC", _ACCENTS_ON_LATIN.sub("", lowered))
