"""The interface that every recogniser fulfils, and the events that it speaks in.

All sample indexes count from the start of the stream, in the stream's own rate.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.asr.endpointing import EndpointingLimits
from services.runtime.engine import Engine


@dataclass(frozen=True, kw_only=True)
class Word:
    """A recognised word.

    Attributes:
        text: The word.
        start_sample: Its first sample.
        sample_count: Its length.
        confidence: How sure the recogniser is, 0 to 1; None if it cannot tell.
    """

    text: str
    start_sample: int
    sample_count: int
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """What was recognised in a stretch of audio.

    Attributes:
        text: The text; empty if nothing was understood.
        words: The words of it in order.
        start_sample: The first sample of the audio that it comes from.
        sample_count: The length of that audio.
        confidence: How sure the recogniser is, 0 to 1; None if it cannot tell.
    """

    text: str
    words: tuple[Word, ...]
    start_sample: int
    sample_count: int
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class SpeechStarted:
    """The person has begun to speak."""

    at_sample: int


@dataclass(frozen=True, kw_only=True)
class Partial:
    """What is recognised so far; replaces the previous one."""

    transcript: Transcript


@dataclass(frozen=True, kw_only=True)
class EndGuess:
    """The utterance has probably ended at `at_sample`."""

    at_sample: int
    transcript: Transcript


@dataclass(frozen=True, kw_only=True)
class SpeechResumed:
    """The last guess was wrong."""

    at_sample: int


@dataclass(frozen=True, kw_only=True)
class Final:
    """The result of the utterance."""

    transcript: Transcript


SpeechEvent = SpeechStarted | Partial | EndGuess | SpeechResumed | Final


@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """How one stream is recognised.

    Attributes:
        sample_rate_hz: The rate of its audio, 8,000 to 48,000.
        language: BCP-47, one that the engine said it knows.
        limits: When utterances start and end.
        phrase_hints: Words that are likely; an engine may ignore them.
    """

    sample_rate_hz: int
    language: str
    limits: EndpointingLimits
    phrase_hints: tuple[str, ...] = ()


class RecognitionSession(Protocol):
    """The recognition of one stream. Its methods are never called at the same time.

    The events of an utterance come in this order: `SpeechStarted`, any number of `Partial`, any
    number of `EndGuess` (each followed by a better `EndGuess` at the same sample, `SpeechResumed`
    or `Final`), one `Final`.
    """

    def accept(self, samples: NDArray[np.int16]) -> AsyncIterator[SpeechEvent]:
        """Takes the next mono samples of the stream; yields each event as soon as it is known."""
        ...

    def finish(self) -> AsyncIterator[SpeechEvent]:
        """Ends the open utterance now. Nothing is accepted after it."""
        ...

    def drop(self) -> None:
        """Forgets the open utterance. The clock of the stream runs on."""
        ...

    def close(self) -> None:
        """Gives back what the session holds; called once, also after a failure."""
        ...


class AsrEngine(Engine, Protocol):
    """A recogniser; the entry point is called with the `AsrSettings`.

    `EngineInfo.languages` names at least one language.
    """

    async def open_session(self, config: SessionConfig) -> RecognitionSession:
        """Opens the recognition of one stream."""
        ...
