"""What a synthesiser is: the interface between the speech service and its engines.

An engine is named by an entry point in `anima.tts.engines` and made by calling that with the
`TtsSettings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.runtime.engine import Engine

Samples = NDArray[np.int16]


class Gender(Enum):
    """The gender that a voice sounds like."""

    UNKNOWN = "unknown"
    FEMALE = "female"
    MALE = "male"


@dataclass(frozen=True, kw_only=True)
class VoiceInfo:
    """A voice that an engine speaks.

    Attributes:
        name: The name by which it is chosen; unique over all engines.
        display_name: The name shown to people.
        languages: BCP-47 tags, the one it speaks best first.
        gender: What it sounds like.
        sample_rate_hz: Samples per second of its own audio.
        engine: The name of the engine.
        licence: SPDX expression of the voice and of the code that speaks it.
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
    """A word as it stands in the segment's text, and when it is spoken.

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
        chars: The stretch of the segment's text that it belongs to; None for silence.
        start_sample: From the start of the segment, at the voice's rate.
        end_sample: The sample after its last one.
    """

    ipa: str
    stress: int
    chars: tuple[int, int] | None
    start_sample: int
    end_sample: int


@dataclass(frozen=True, kw_only=True)
class SpeechChunk:
    """Audio and the marks that became known with it.

    Over a segment, phonemes follow each other without gaps from sample 0, and those of a stretch of
    audio are in its chunk or an earlier one. Words follow each other without overlap.
    """

    samples: Samples
    words: tuple[WordTiming, ...] = ()
    phonemes: tuple[PhonemeTiming, ...] = ()


Emit = Callable[[SpeechChunk], bool]
"""Takes the next chunk; blocks while the reader is behind. False: nobody listens, stop at once."""


class EngineUnavailableError(Exception):
    """What the engine needs is not on this machine; the text says what and how to get it."""


DEFAULT_PREFERENCE = 50
"""Of an engine whose `preferences` name neither a language nor "*"."""


class TtsEngine(Engine, Protocol):
    """Speaks.

    Its constructor and its `open` raise EngineUnavailableError if it cannot work on this machine;
    with `ANIMA_TTS_ENGINE=auto` the engine is then left out.
    """

    @property
    def preferences(self) -> Mapping[str, int]:
        """How well it speaks, 0 to 100, by language: "en", or "*" for all others.

        With `ANIMA_TTS_ENGINE=auto` the engine with the highest number speaks a language. Ours are
        eSpeak NG with 10 and flite with 30; a neural engine has 50 or more.
        """
        ...

    def voices(self) -> Sequence[VoiceInfo]:
        """Lists the voices, the best of each language first; called after `open`."""
        ...

    def synthesize(self, request: SpeechRequest, emit: Emit) -> None:
        """Speaks one segment; returns when all is emitted or `emit` has returned False.

        Called from several threads at the same time and never from the event loop.
        """
        ...


def languages_of(voices: Iterable[VoiceInfo]) -> tuple[str, ...]:
    """Returns the languages that voices speak, for `EngineInfo.languages`."""
    return tuple(sorted({language for voice in voices for language in voice.languages}))
