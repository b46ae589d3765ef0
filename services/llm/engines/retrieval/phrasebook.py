"""The phrases that steer a conversation and the engine's own phrases, by language."""

from __future__ import annotations

import re
import tomllib
from functools import cache, cached_property
from importlib.resources import files
from typing import Final

from pydantic import BaseModel, ConfigDict

from text.languages import is_spaced, primary
from text.normal import normalised
from text.scripts import CJK_PUNCTUATION, IDEOGRAPHIC

_DEFAULT_LANGUAGE: Final = "en"
_PUNCTUATION: Final = re.compile(r"[^\w\s']|_|(?<!\w)'|'(?!\w)")
_CJK: Final = IDEOGRAPHIC + CJK_PUNCTUATION
# A space next to a character of a language without spaces has no meaning.
_SPACE_AT_CJK: Final = re.compile(rf"(?<=[{_CJK}])\s+|\s+(?=[{_CJK}])")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Heard(_Table):
    """Patterns for text as returned by `Phrasebook.clean`."""

    short_forms: tuple[tuple[str, str], ...]
    same_words: tuple[tuple[str, str], ...]
    fillers: str
    endings: str
    greeting: re.Pattern[str]
    thanks: re.Pattern[str]
    goodbye: re.Pattern[str]
    repeat: re.Pattern[str]
    what_i_asked: re.Pattern[str]
    what_you_said: re.Pattern[str]
    go_on: re.Pattern[str]
    more: re.Pattern[str]
    yes: re.Pattern[str]
    no: re.Pattern[str]
    follow_up: re.Pattern[str]
    personal: re.Pattern[str]
    statement: re.Pattern[str]
    first_person: re.Pattern[str]
    second_person: re.Pattern[str]
    at_hand: re.Pattern[str]
    when_or_where: re.Pattern[str]
    asking: re.Pattern[str]


class Said(_Table):
    """The engine's phrases; of several variants a different one is used each time."""

    greeting: tuple[str, ...]
    thanks: tuple[str, ...]
    goodbye: tuple[str, ...]
    unclear: tuple[str, ...]
    noted: tuple[str, ...]
    met: tuple[str, ...]
    heard: tuple[str, ...]
    corrected: tuple[str, ...]
    denied: tuple[str, ...]
    forget_all: tuple[str, ...]
    all_forgotten: tuple[str, ...]
    forgotten: tuple[str, ...]
    nothing_forgotten: tuple[str, ...]
    nothing_to_forget: tuple[str, ...]
    nothing_to_repeat: tuple[str, ...]
    you_asked: tuple[str, ...]
    nothing_asked: tuple[str, ...]
    no_more: tuple[str, ...]
    you_told_me: tuple[str, ...]
    i_told_you: tuple[str, ...]
    also: str
    joined: str
    quoted: tuple[str, ...]
    quoted_page: tuple[str, ...]
    not_told: tuple[str, ...]
    unknown: tuple[str, ...]
    suggest: tuple[str, ...]
    did_you_mean: tuple[str, ...]


class SecondPerson(_Table):
    """Rules that turn "my dog" into "your dog"."""

    blocked: re.Pattern[str]
    replace: tuple[tuple[str, str], ...]


class _Book(_Table):
    heard: Heard
    said: Said
    second_person: SecondPerson


class Phrasebook:
    """The phrases of one language; see `wording/en.toml`."""

    def __init__(self, book: _Book, *, unspaced: bool) -> None:
        self.heard = book.heard
        self.said = book.said
        self._second_person = book.second_person
        self._unspaced = unspaced

    def plain(self, text: str) -> str:
        """Returns a text in lower case without punctuation, as a recogniser writes it."""
        spaced = " ".join(_PUNCTUATION.sub(" ", normalised(text)).split())
        return _SPACE_AT_CJK.sub("", spaced) if self._unspaced else spaced

    def clean(self, text: str) -> str:
        """Returns the plain form of a question without leading and trailing fillers."""
        cleaned = " ".join(_PUNCTUATION.sub(" ", normalised(text)).split())
        for pattern, long_form in self.heard.short_forms:
            cleaned = re.sub(pattern, long_form, cleaned)
        while True:
            shorter = self._ending.sub("", self._filler.sub("", cleaned, count=1)).strip()
            if shorter in ("", cleaned):
                return self.plain(cleaned)
            cleaned = shorter

    def compared(self, cleaned: str) -> str:
        """Replaces synonyms in a cleaned question with one common word."""
        for pattern, replacement in self.heard.same_words:
            cleaned = re.sub(pattern, replacement, cleaned)
        return " ".join(cleaned.split())

    def is_filler(self, text: str) -> bool:
        """Whether nothing was said but "um"."""
        plain = self.plain(text)
        return not plain or re.fullmatch(r"(?:(?:um|uh|er|hm|嗯|呃|啊|哦)+\s*)+", plain) is not None

    def in_second_person(self, text: str) -> str:
        """Converts a user's statement to the second person, if that is simple."""
        if self._second_person.blocked.search(normalised(text)):
            return text
        for pattern, replacement in self._second_person.replace:
            text = re.sub(pattern, replacement, text, flags=re.IGNORECASE)
        return text

    @cached_property
    def _filler(self) -> re.Pattern[str]:
        after = r"\s*" if self._unspaced else r"(?:\s+|$)"
        return re.compile(rf"^(?:{self.heard.fillers}){after}")

    @cached_property
    def _ending(self) -> re.Pattern[str]:
        before = r"\s*" if self._unspaced else r"(?:^|\s+)"
        return re.compile(rf"{before}(?:{self.heard.endings})$")


def phrasebook(language: str) -> Phrasebook:
    """Returns the phrasebook of a language, or the English one if there is none."""
    return _load(primary(language))


@cache
def _load(language: str) -> Phrasebook:
    folder = files("services.llm.engines.retrieval") / "wording"
    source = folder / f"{language}.toml"
    if not source.is_file():
        return _load(_DEFAULT_LANGUAGE)
    book = _Book.model_validate(tomllib.loads(source.read_text(encoding="utf-8")))
    return Phrasebook(book, unspaced=not is_spaced(language))
