"""Which engine speaks a language with `ANIMA_TTS_ENGINE=auto`, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import langcodes

from services.tts.engine import DEFAULT_PREFERENCE, MeasuredEngine, Pace, TtsEngine

LATEST_CLAUSE_S: Final = 0.35
"""The longest wait for a first clause if another engine speaks the language well enough."""
SLOWEST_FACTOR: Final = 0.6
"""The slowest speech that does not stop between clauses while the face is drawn."""
_ROBOTIC: Final = 10
"""Up to this preference a voice is understood with effort; a later answer is better."""


class Use(Enum):
    """When the voices of an engine are used."""

    ALWAYS = "always"
    """Whenever they are the best; their speed does not matter."""
    LOADING = "loading"
    """Only on request, until the engine is loaded and measured."""
    IN_TIME = "in time"
    """By default: fast enough."""
    LATE = "late"
    """By default: too late, but the other voices are hard to understand."""
    TOO_LATE = "too late"
    """Only on request: the first clause takes too long."""
    TOO_SLOW = "too slow"
    """Only on request: the speech would stop between clauses."""


@dataclass(frozen=True)
class Suitability:
    """How well an engine suits a language on this machine.

    Attributes:
        preference: 0 to 100; 0: it speaks the language only if its voice is asked for by name.
        use: When it is used.
        pace: How fast it is; None: not measured.
    """

    preference: int
    use: Use
    pace: Pace | None = None

    @property
    def reason(self) -> str:
        """A sentence for operators and logs; empty: its speed does not matter."""
        if self.use is Use.LOADING:
            return "only on request until it is loaded and measured"
        if self.pace is None:
            return ""
        first = f"a first clause takes {self.pace.first_clause_s:.2f} s on this machine"
        if self.use is Use.IN_TIME:
            return f"in time: {first}"
        if self.use is Use.LATE:
            return f"late, but the other voices are hard to understand: {first}"
        if self.use is Use.TOO_LATE:
            return f"only on request, because {LATEST_CLAUSE_S} s is the limit: {first}"
        return (
            f"only on request, because {SLOWEST_FACTOR} s is the limit: "
            f"a second of speech takes {self.pace.real_time_factor:.2f} s on this machine"
        )


class Selection:
    """Weighs the quality of engines against their speed on this machine, as known now.

    Args:
        engines: All that are open.
    """

    def __init__(self, engines: Sequence[TtsEngine]) -> None:
        self._engines = engines
        self._judged: dict[tuple[int, str], Suitability] = {}

    def suitability(self, engine: TtsEngine, language: str) -> Suitability:
        """Returns how well one of the engines suits a language; its country makes no difference."""
        key = id(engine), _base(language)
        if key not in self._judged:
            self._judged[key] = self._suitability(engine, language)
        return self._judged[key]

    def _suitability(self, engine: TtsEngine, language: str) -> Suitability:
        declared = declared_preference(engine, language)
        if not isinstance(engine, MeasuredEngine):
            return Suitability(declared, Use.ALWAYS)
        pace = engine.pace
        if pace is None:
            return Suitability(0, Use.LOADING)
        others = [
            declared_preference(each, language)
            for each in self._engines
            if each is not engine and speaks(each, language)
        ]
        use = _use(pace, has_good_alternative=max(others, default=0) > _ROBOTIC)
        return Suitability(declared if use in (Use.IN_TIME, Use.LATE) else 0, use, pace)


def is_too_slow(engine: TtsEngine) -> bool:
    """Whether an engine was measured and speaks no language by default."""
    pace = engine.pace if isinstance(engine, MeasuredEngine) else None
    return pace is not None and pace.real_time_factor >= SLOWEST_FACTOR


def _use(pace: Pace, *, has_good_alternative: bool) -> Use:
    if pace.real_time_factor >= SLOWEST_FACTOR:
        return Use.TOO_SLOW
    if pace.first_clause_s <= LATEST_CLAUSE_S:
        return Use.IN_TIME
    return Use.TOO_LATE if has_good_alternative else Use.LATE


def declared_preference(engine: TtsEngine, language: str) -> int:
    """Returns the quality that an engine declares for a language."""
    preferences = engine.preferences
    others = preferences.get("*", DEFAULT_PREFERENCE)
    return preferences.get(_base(language), others)


def speaks(engine: TtsEngine, language: str) -> bool:
    """Whether an engine has a voice for a language, whatever the country."""
    base = _base(language)
    return any(_base(tag) == base for voice in engine.voices() for tag in voice.languages)


def _base(tag: str) -> str:
    return langcodes.Language.get(tag).language or ""
