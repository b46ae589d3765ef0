"""Reads the files of this folder. Another language is another file, such as `de.toml`, no code.

Every table except `notices` is optional. Words are compared in the form of `text.normal`.
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
"""The language for people whose own language has no book."""
# CLDR's distances: 64 from Cantonese to Chinese, 54 between its scripts, others from 84.
_MAX_DISTANCE: Final = 70


def _phrases(given: object) -> object:
    """Splits a string into words; a list of phrases stays as it is."""
    if isinstance(given, str):
        given = given.split()
    if isinstance(given, list):
        return tuple(normal(each) if isinstance(each, str) else each for each in given)
    return given


Phrases = Annotated[tuple[str, ...], BeforeValidator(_phrases)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StageWording(_Table):
    """The wording of a notice that a stage does not work."""

    part: str
    """The stage as a part of the digital human, the subject of a sentence: "My voice"."""
    degraded: str = ""
    """The sentence for a conversation that goes on without it; empty: the general one."""
    full: str = ""
    """The sentence for a conversation of which nothing can be stored; only for the memory."""


class Notices(_Table):
    """Sentences for people; `{part}` stands for the `part` of a stage."""

    part: str
    """A stage without an entry in `stages`."""
    failed: str
    degraded: str
    apology: str
    """Spoken when an answer cannot be finished."""
    not_understood: str
    language_not_heard: str
    """`{language}` is spoken, but the recogniser does not understand it."""
    heard_instead: str
    """The languages that it understands, `{known}`."""
    languages: dict[str, str] = {}
    """Names of languages by their BCP-47 tags; those of other languages are their tags."""
    between: str = ", "
    """The separator between the names of languages."""
    with_remedy: str
    """A sentence `{text}` and what the operator can do about it, `{remedy}`."""
    going_away: str
    stages: dict[str, StageWording] = {}


class EndOfTurnWords(_Table):
    """The words that decide whether a person has finished."""

    asking: Phrases = ()
    """Words that begin a question."""
    unfinished: Phrases = ()
    """Words after which a sentence goes on."""
    hanging: Phrases = ()
    """Those of them after which not even a question ends, whatever mark the recogniser puts."""
    stranded: Phrases = ()
    """Words after which a statement goes on; a question may end with them: "where are you from"."""
    ends_questions: Phrases = ()
    """The words of `unfinished` with which a question may end: "what can you do"."""
    whole: Phrases = ()
    """Texts that are complete by themselves."""
    complete_endings: Phrases = ()
    """Endings that complete a text of at least `min_length`."""
    min_length: int = 3
    """The shortest question, in words, or in characters for languages without spaces."""


class Utterances(_Table):
    """Things that people say while somebody else goes on speaking."""

    backchannels: Phrases = ()
    """Words that are a backchannel in any number."""
    phrases: Phrases = ()
    """Whole utterances that are a backchannel."""
    stops: Phrases = ()
    """Whole utterances that are a command to stop."""
    coughs: Phrases = ()
    """Words that recognisers produce from a cough."""

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
        ValueError: The file is not a valid book; the text names the field.
    """
    return Book.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))


BOOKS: Final[dict[str, Book]] = {
    file.name.removesuffix(".toml"): read(file)
    for file in sorted(files("gateway.wording").iterdir(), key=lambda file: file.name)
    if file.name.endswith(".toml")
}
"""The languages by their BCP-47 tags. Read it when needed, never copy it: a test adds to it."""


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
