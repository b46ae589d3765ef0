"""Finds the names of speakers in a question."""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from text.normal import normalised
from text.scripts import is_ideographic

# Names that also are words, or are too short to be names wherever they stand; they count as names
# only where they are written with a capital.
_ALSO_WORDS: Final = frozenset({
    "amber", "april", "art", "august", "autumn", "bill", "bob", "chance", "chase", "christian",
    "daisy", "dawn", "drew", "faith", "flora", "frank", "gene", "grace", "grant", "hope",
    "hunter", "iris", "ivy", "jack", "jade", "joy", "june", "lily", "mark", "may", "melody",
    "mercy", "miles", "nick", "olive", "pat", "patience", "penny", "pierce", "ray", "rob", "rose",
    "ruby", "rusty", "sandy", "skip", "sky", "sonny", "stone", "storm", "sue", "summer", "ted",
    "violet", "wade", "will", "winter",
})  # fmt: skip
_LEAST_LETTERS: Final = 3


def without_names(question: str, labels: Collection[str]) -> str:
    """Returns a question without the names of speakers; unchanged if nothing else remains.

    The vector of a question turns towards every text in which the name stands, also those in which
    somebody else addresses the person. The words of the question keep the name.
    """
    bare = question
    for label in labels:
        bare = _pattern(label).sub(" ", bare)
    bare = " ".join(bare.split())
    return bare if any(map(str.isalnum, bare)) else question


@lru_cache(maxsize=4_096)
def _pattern(label: str) -> re.Pattern[str]:
    """Returns a pattern that matches the name and a following 's."""
    name = re.escape(label)
    # Chinese has no spaces between words.
    before = "" if is_ideographic(label[:1] or " ") else r"(?<!\w)"
    after = "" if is_ideographic(label[-1:] or " ") else r"(?!\w)"
    is_also_word = len(label) < _LEAST_LETTERS or normalised(label) in _ALSO_WORDS
    flags = re.NOFLAG if is_also_word else re.IGNORECASE
    return re.compile(rf"{before}{name}(?:['’]s)?{after}", flags)
