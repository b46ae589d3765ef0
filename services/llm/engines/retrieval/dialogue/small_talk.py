"""Small talk, sums, the time, and what the digital human cannot do."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Final

from pydantic import BaseModel, ConfigDict

from services.llm.engines.retrieval.dialogue.speech_wishes import SpeechWish
from services.llm.engines.retrieval.dialogue.sums import DividedByZeroError, result_of
from services.llm.engines.retrieval.reply import unsaid
from services.llm.prompt.prompt import Message
from text.languages import primary

_DEFAULT_LANGUAGE: Final = "en"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Calendar(_Table):
    days: tuple[str, ...]
    months: tuple[str, ...]
    date: str
    time: str


class _Sums(_Table):
    result: tuple[str, ...]
    minus: str
    no_result: tuple[str, ...]


class _Kind(_Table):
    name: str
    corpus_first: bool = False
    heard: re.Pattern[str]
    wish: SpeechWish | None = None
    said: tuple[str, ...]


class SmallTalk(_Table):
    """The small talk of one language; see `wording/small_talk_en.toml`."""

    calendar: _Calendar
    sums: _Sums
    kind: tuple[_Kind, ...]

    def kind_of(self, cleaned: str) -> str:
        """Returns the kind of a text as returned by `Phrasebook.clean`; empty: none."""
        return next((kind.name for kind in self.kind if kind.heard.fullmatch(cleaned)), "")

    def wish_of(self, name: str) -> SpeechWish | None:
        """Returns what a kind asks of voice and speed; None: nothing."""
        return next((kind.wish for kind in self.kind if kind.name == name), None)

    def is_second(self, name: str) -> bool:
        """Whether the persona's own answer goes before that of a kind."""
        return any(kind.name == name and kind.corpus_first for kind in self.kind)

    def answer(self, kind: str, now: datetime, history: Sequence[Message]) -> str:
        """Returns the answer to a kind; empty if the language has no such kind."""
        ways = next((one.said for one in self.kind if one.name == kind), ())
        if not ways:
            return ""
        calendar = self.calendar
        date = calendar.date.format(
            day_of_month=now.day, month=calendar.months[now.month - 1], year=now.year
        )
        return unsaid(ways, history).format(
            time=calendar.time.format(hour=now.hour, minute=now.minute),
            day=calendar.days[now.weekday()],
            date=date,
            year=now.year,
        )

    def sum_of(self, heard: str, history: Sequence[Message]) -> str:
        """Returns the answer to a sum; empty if the text is none."""
        try:
            result = result_of(heard)
        except DividedByZeroError:
            return unsaid(self.sums.no_result, history)
        if result is None:
            return ""
        if result.startswith("-"):
            result = self.sums.minus.format(result=result[1:])
        return unsaid(self.sums.result, history).format(result=result)


@cache
def small_talk(language: str) -> SmallTalk:
    """Returns the small talk of a language, or the English one if there is none."""
    source = (
        files("services.llm.engines.retrieval") / "wording" / f"small_talk_{primary(language)}.toml"
    )
    if not source.is_file():
        return small_talk(_DEFAULT_LANGUAGE)
    return SmallTalk.model_validate(tomllib.loads(source.read_text(encoding="utf-8")))
