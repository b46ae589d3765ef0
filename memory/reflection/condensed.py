"""The result of condensing old turns."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Condensed:
    """The summary of a group of turns."""

    text: str
    in_words_of_the_person: bool
    extractor: str
    """The method that produced it, with its version."""
