"""The interface between the speech service and its engines.

An engine is registered as an entry point in `anima.tts.engines`, which is called with the
`TtsSettings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from services.runtime.engine import Engine

Samples = NDArray[np.int16]


class Gender(Enum):
    """The gender a voice sounds like."""

    UNKNOWN = "unknown"
    FEMALE = "female"
    MALE = "male"


@dataclass(frozen=True, kw_only=True)
class VoiceInfo:
    """A voice of an engine.

    Attributes:
        name: The name used to select it; unique over all engines.
        display_name: The name shown to users.
        languages: BCP-47 tags, the best one first.
        gender: The gender it sounds like.
        sample_rate_hz: Samples per second of its own audio.
        engine: The name of the engine.
        licence: SPDX expression of the licence of the voice and of its engine.
    """

    name: str
    display_name: str
    languages: tuple[str, ...]
    gender: Gender
    sample_rate_hz: int
    engine: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class SpeechRequest:
    """One segment to speak.

    Attributes:
        text: 1 to 2,000 characters, at least one of them a letter or a digit.
        voice: One of the engine's own voices.
        rate_percent: Speaking rate, percent of the voice's own, 50 to 200.
        pitch_percent: Pitch, percent of the voice's own, 50 to 200.
    """

    text: str
    voice: VoiceInfo
    rate_percent: int = 100
    pitch_percent: int = 100


@dataclass(frozen=True, kw_only=True)
class WordTiming:
    """The position of a word in the segment's text, and when it is spoken.

    Samples count from the start of the segment at the voice's rate, characters in Unicode code
    points from the start of the segment's text.
    """

    start_char: int
    end_char: int
    start_sample: int
    end_sample: int


@dataclass(frozen=True, kw_only=True)
class PhonemeTiming:
    """A sound and when it is spoken.

    Attributes:
        ipa: The sound in IPA; empty for silence.
        stress: 0 none, 1 secondary, 2 primary; on vowels.
        chars: Its stretch of the segment's text; None for silence.
        start_sample: From the start of the segment, at the voice's rate.
        end_sample: The sample after its last sample.
    """

    ipa: str
    stress: int
    chars: tuple[int, int] | None
    start_sample: int
    end_sample: int


@dataclass(frozen=True, kw_only=True)
class SpeechChunk:
    """Audio, and the marks that became known with it.

    Over a segment, phonemes are contiguous from sample 0, and the phonemes of a stretch of audio
    are in its chunk or an earlier one. Words do not overlap.
    """

    samples: Samples
    words: tuple[WordTiming, ...] = ()
    phonemes: tuple[PhonemeTiming, ...] = ()


Emit = Callable[[SpeechChunk], bool]
"""Takes the next chunk; blocks if the reader is slow. False: stop at once, the reader is gone."""


class EngineUnavailableError(Exception):
    """A requirement of the engine is missing; the text says which and how to install it."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast an engine speaks on this machine.

    Attributes:
        first_clause_s: Seconds until a short clause is spoken, on average.
        real_time_factor: Seconds of computation for a second of speech, on one thread of a stream.
    """

    first_clause_s: float
    real_time_factor: float

    def best(self, other: Pace | None) -> Pace:
        """Returns the better of two measurements: other work makes an engine only seem slower."""
        if other is None:
            return self
        return Pace(
            first_clause_s=min(self.first_clause_s, other.first_clause_s),
            real_time_factor=min(self.real_time_factor, other.real_time_factor),
        )


DEFAULT_PREFERENCE = 50
"""For an engine whose `preferences` contain neither the language nor "*"."""


class TtsEngine(Engine, Protocol):
    """Synthesises speech.

    Its constructor and its `open` raise EngineUnavailableError if it cannot run on this machine;
    with `ANIMA_TTS_ENGINE=auto` the engine is then skipped.
    """

    @property
    def preferences(self) -> Mapping[str, int]:
        """Its quality, 0 to 100, by language: "en", or "*" for all others.

        With `ANIMA_TTS_ENGINE=auto` a language is spoken by the engine with the highest number.
        eSpeak NG has 10 and flite 30; a neural engine should have 50 or more.
        """
        ...

    def voices(self) -> Sequence[VoiceInfo]:
        """Lists the voices, the best of each language first; called after `open`."""
        ...

    def synthesize(self, request: SpeechRequest, emit: Emit) -> None:
        """Speaks one segment; returns when everything is emitted or `emit` has returned False.

        Called from several threads at the same time and never from the event loop.
        """
        ...


@runtime_checkable
class MeasuredEngine(Protocol):
    """An engine that takes seconds to load, and that may be too slow for this machine.

    Its `open` only checks that it can be loaded. With `ANIMA_TTS_ENGINE=auto` the other engines
    speak until `warm_up` has returned, and then this one speaks a language if it does so in time;
    see `services.tts.selection`. A voice that is asked for by name is spoken as soon as it can be:
    `synthesize` waits for `warm_up`.
    """

    @property
    def pace(self) -> Pace | None:
        """How fast it is, measured by `warm_up`; None: not measured yet."""
        ...

    async def warm_up(self) -> None:
        """Loads what is slow to load and measures the pace; called once, after `open`.

        Raises:
            EngineUnavailableError: It cannot be loaded.
        """
        ...

    async def measure(self) -> None:
        """Measures the pace once more, after `warm_up`, and keeps the best."""
        ...


def languages_of(voices: Iterable[VoiceInfo]) -> tuple[str, ...]:
    """Returns the languages of voices, for `EngineInfo.languages`."""
    return tuple(sorted({language for voice in voices for language in voice.languages}))
