"""Abbreviations whose dot does not end a sentence; the lists are in abbreviations.toml."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import Final

_LISTS: Final = tomllib.loads((files("text") / "abbreviations.toml").read_text(encoding="utf-8"))
_CERTAIN: Final = frozenset(w for one in _LISTS.values() for w in one["certain"].split())
_ALSO_WORDS: Final = frozenset(w for one in _LISTS.values() for w in one["also_words"].split())
_DOTTED_LETTERS: Final = re.compile(r"(?:[^\W\d_]\.)+")
_OPENERS: Final = "([{“「『（【《«\"'‘"


def ends_in_abbreviation(word: str) -> bool:
    """Reports whether the dot at the end of a word may belong to it: "Dr.", "e.g.", "J.", "no."."""
    bare = word.lstrip(_OPENERS)
    return surely_ends_in_abbreviation(bare) or bare[:-1].lower() in _ALSO_WORDS


def surely_ends_in_abbreviation(word: str) -> bool:
    """Reports the same, but requires a capital for abbreviations that are also words."""
    bare = word.lstrip(_OPENERS)
    if _DOTTED_LETTERS.fullmatch(bare):
        return True
    stem = bare[:-1]
    return stem.lower() in _CERTAIN or (stem[:1].isupper() and stem.lower() in _ALSO_WORDS)
