"""Abbreviations whose dot does not end a sentence; the lists are in abbreviations.toml."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import Final

_LISTS: Final = tomllib.loads((files("text") / "abbreviations.toml").read_text(encoding="utf-8"))


def _words(name: str) -> frozenset[str]:
    return frozenset(word for one in _LISTS.values() for word in one.get(name, "").split())


_CERTAIN: Final = _words("certain")
_ALSO_WORDS: Final = _words("also_words")
_BEFORE_NAMES: Final = _words("before_names")
_STARTERS: Final = _words("starters")
_AFTER_ORDINALS: Final = _words("after_ordinals")
_ORDINAL: Final = re.compile(r"\d{1,4}\.")
_LETTER: Final = re.compile(r"[^\W\d_]\.")
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


def may_go_on_after(word: str) -> bool:
    """Reports whether a sentence may go on after a word with a dot, as the next word decides.

    That is an abbreviation, or a number, which may be an ordinal.
    """
    return ends_in_abbreviation(word) or _ORDINAL.fullmatch(word.lstrip(_OPENERS)) is not None


def ends_sentence(word: str, following: str) -> bool:
    """Reports whether a sentence ends after a word with a dot, by the word that follows.

    Args:
        word: One after which a sentence may go on.
        following: The next word, whole, without marks behind it; empty: the text ends.
    """
    bare = word.lstrip(_OPENERS)
    stem, next_stem = bare[:-1].lower(), following.lower()
    capital = following[:1].isupper()
    if _ORDINAL.fullmatch(bare):
        return not following[:1].islower() and next_stem not in _AFTER_ORDINALS
    if not capital or _LETTER.fullmatch(bare):
        return False
    if bare[:-1].islower() and stem in _ALSO_WORDS:
        return True
    return stem not in _BEFORE_NAMES and next_stem in _STARTERS
