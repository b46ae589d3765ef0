"""Which engine speaks a language with `ANIMA_TTS_ENGINE=auto`, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import langcodes

from services.tts.engine import DEFAULT_PREFERENCE, MeasuredEngine, Pace, TtsEngine

LATEST_CLAUSE_S: Final = 0.35
"""The longest wait for a first clause if another engine speaks the language well enough."""
SLOWEST_FACTOR: Final = 0.6
"""The slowest speech that does not stop between clauses while the face is drawn."""
_ROBOTIC: Final = 10
"""Up to this preference a voice is understood with effort; a later answer is better."""


@dataclass(frozen=True)
class Suitability:
    """How well an engine suits a language on this machine.

    Attributes:
        preference: 0 to 100; 0: it speaks the language only if its voice is asked for by name.
        reason: A sentence; empty: it was not measured.
    """

    preference: int
    reason: str


class Selection:
    """Weighs the quality of engines against their speed on this machine.

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
        pace = engine.pace if isinstance(engine, MeasuredEngine) else None
        if pace is None:
            return Suitability(declared, "")
        others = [
            declared_preference(each, language)
            for each in self._engines
            if each is not engine and speaks(each, language)
        ]
        alternative = max(others, default=0)
        in_time, reason = _judge(pace, has_good_alternative=alternative > _ROBOTIC)
        return Suitability(declared if in_time else 0, reason)


def _judge(pace: Pace, *, has_good_alternative: bool) -> tuple[bool, str]:
    first, factor = pace.first_clause_s, pace.real_time_factor
    if factor >= SLOWEST_FACTOR:
        measured = f"a second of speech takes {factor:.2f} s on this machine"
        return (
            False,
            f"only on request, because {SLOWEST_FACTOR} s is the limit: {measured}",
        )
    measured = f"a first clause takes {first:.2f} s on this machine"
    if first <= LATEST_CLAUSE_S:
        return True, f"in time: {measured}"
    if has_good_alternative:
        return (
            False,
            f"only on request, because {LATEST_CLAUSE_S} s is the limit: {measured}",
        )
    return True, f"late, but the other voices are hard to understand: {measured}"


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
