"""What is made of old turns."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Condensed:
    """What became of a group of turns."""

    text: str
    in_words_of_the_person: bool
    extractor: str
    """What condensed it, with its version."""
