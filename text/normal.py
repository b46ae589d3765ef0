"""Normalises texts so that texts that sound alike are equal."""

import unicodedata


def normal(text: str) -> str:
    """Returns a text without case, punctuation and doubled white space."""
    kept = (
        "" if character in "'’-" else character if _is_word(character) else " "
        for character in unicodedata.normalize("NFKC", text).casefold()
    )
    return " ".join("".join(kept).split())


def _is_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")
