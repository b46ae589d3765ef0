"""The events of listening, in the order in which they happen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from anima.common.v1 import common_pb2 as common


@dataclass(frozen=True, kw_only=True)
class SpeechStarted:
    """The person has started to speak.

    Attributes:
        at_sample: The first sample of the speech, in the session's microphone audio.
        started_at: The arrival time of that sample on the loop's clock, seconds.
    """

    at_sample: int
    started_at: float


@dataclass(frozen=True, kw_only=True)
class Partial:
    """The text recognised so far.

    Attributes:
        text: The text.
        language: BCP-47 language that was recognised; empty: unknown.
    """

    text: str
    language: str = ""


@dataclass(frozen=True, kw_only=True)
class EndGuess:
    """The person has probably finished.

    Attributes:
        text: The text recognised so far.
        speech_s: The duration of the speech, seconds.
        ended_at: The end of the speech on the loop's clock, seconds.
    """

    text: str
    speech_s: float
    ended_at: float


@dataclass(frozen=True, kw_only=True)
class SpeechResumed:
    """The last guess was wrong: the person goes on speaking."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """The person has finished.

    Attributes:
        text: The text; empty if nothing was understood.
        language: BCP-47 language that was recognised; empty: unknown.
        words: The words on the clock of the session's microphone audio.
        started_at: The start of the speech on the loop's clock, seconds.
        ended_at: The end of the speech on the loop's clock, seconds.
    """

    text: str
    language: str = ""
    words: tuple[common.WordMark, ...] = ()
    started_at: float
    ended_at: float


@dataclass(frozen=True, kw_only=True)
class UtteranceLost:
    """The result of the utterance will not arrive."""


@dataclass(frozen=True, kw_only=True)
class RecogniserAway:
    """Recognition does not work; reported once until it works again."""


@dataclass(frozen=True, kw_only=True)
class LanguageNotHeard:
    """The recogniser does not understand the language of the session; reported likewise.

    Attributes:
        language: BCP-47 language that it does not understand; empty: unknown.
        known: Languages that it understands; empty: unknown.
        remedy: What the operator can do about it; empty: nothing is known.
    """

    language: str = ""
    known: tuple[str, ...] = ()
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Settled:
    """No utterance is pending any more."""


ListeningEvent: TypeAlias = (
    SpeechStarted
    | Partial
    | EndGuess
    | SpeechResumed
    | Utterance
    | UtteranceLost
    | RecogniserAway
    | LanguageNotHeard
    | Settled
)
OnListeningEvent: TypeAlias = Callable[[ListeningEvent], Awaitable[None]]
"""Called with the events in order; the next call follows when it has returned."""
