"""Checks whether a value occurs in a text."""

import re

from text.normal import normalised


def stands_in(value_key: str, text: str) -> bool:
    """Returns whether a value occurs in a text as a whole."""
    said = f" {' '.join(normalised(text).split())} "
    if value_key not in said:
        return False
    if not value_key.isascii():
        return True
    return re.search(rf"(?<!\w){re.escape(value_key)}(?!\w)", said) is not None
