"""Reads the files of this folder. A further language is a further file, `de.toml`, and no code.

Every table but `notices` may be left out. Words are compared in the form of `text.normal`.
"""

from __future__ import annotations

import tomllib
from functools import cached_property, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Final

import langcodes
from langcodes.tag_parser import LanguageTagError
from pydantic import BaseModel, BeforeValidator, ConfigDict

from text.normal import normal

DEFAULT: Final = "en"
"""The language of people whose own has no book."""
# CLDR's distances: 64 from Cantonese to Chinese, 54 between its scripts, others from 84.
_MAX_DISTANCE: Final = 70


def _phrases(given: object) -> object:
    """Words of a string, each one, or the phrases of a list."""
    if isinstance(given, str):
        given = given.split()
    if isinstance(given, list):
        return tuple(normal(each) if isinstance(each, str) else each for each in given)
    return given


Phrases = Annotated[tuple[str, ...], BeforeValidator(_phrases)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StageWording(_Table):
    """How a person is told that a stage does not work."""

    part: str
    """The stage as a part of the digital human, the subject of a sentence: "My voice"."""
    degraded: str = ""
    """The sentence for a conversation that goes on without it; empty: the general one."""


class Notices(_Table):
    """Sentences for people; `{part}` stands for the `part` of a stage."""

    part: str
    """A stage without an entry in `stages`."""
    failed: str
    degraded: str
    apology: str
    """Spoken when an answer cannot be finished."""
    not_understood: str
    going_away: str
    stages: dict[str, StageWording] = {}


class EndOfTurnWords(_Table):
    """By which words it is judged whether a person has finished."""

    asking: Phrases = ()
    """Begin a question."""
    unfinished: Phrases = ()
    """After these a sentence goes on."""
    stranded: Phrases = ()
    """After these a statement goes on; a question may end with them: "where are you from"."""
    ends_questions: Phrases = ()
    """Those of `unfinished` with which a question may end: "what can you do"."""
    whole: Phrases = ()
    """Complete when nothing else is said."""
    complete_endings: Phrases = ()
    """Complete a text of at least `min_length`."""
    min_length: int = 3
    """The shortest question: words, in languages without spaces characters."""


class Utterances(_Table):
    """What people say while somebody else goes on speaking."""

    backchannels: Phrases = ()
    """Words of which any number is a sign of listening."""
    phrases: Phrases = ()
    """Whole utterances that are one."""
    stops: Phrases = ()
    """Whole utterances that are a command to stop."""
    coughs: Phrases = ()
    """What recognisers make of a cough."""

    @cached_property
    def backchannel_words(self) -> frozenset[str]:
        """The words of `backchannels`, for look-up."""
        return frozenset(self.backchannels)


class Book(_Table):
    """The words of one language."""

    notices: Notices
    end_of_turn: EndOfTurnWords = EndOfTurnWords()
    utterances: Utterances = Utterances()


def read(file: Traversable) -> Book:
    """Reads one language.

    Raises:
        ValueError: The file is no such book; the text names the field.
    """
    return Book.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))


BOOKS: Final[dict[str, Book]] = {
    file.name.removesuffix(".toml"): read(file)
    for file in sorted(files("gateway.wording").iterdir(), key=lambda file: file.name)
    if file.name.endswith(".toml")
}
"""The languages by their BCP-47 tags. It is read when it is needed: a test adds one to it."""


def book_for(tag: str) -> Book | None:
    """Returns the book that a speaker of a language understands; None: there is none."""
    key = _closest(tag, tuple(BOOKS))
    return None if key is None else BOOKS[key]


@lru_cache(maxsize=256)
def _closest(tag: str, languages: tuple[str, ...]) -> str | None:
    try:
        return langcodes.closest_supported_match(tag, list(languages), _MAX_DISTANCE)
    except LanguageTagError:
        return None
