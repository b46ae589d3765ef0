"""What listening reports, in the order in which it happens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from anima.common.v1 import common_pb2 as common


@dataclass(frozen=True, kw_only=True)
class SpeechStarted:
    """The person has begun to speak.

    Attributes:
        at_sample: The first sample of the speech, in the session's microphone audio.
        started_at: When that sample came, on the loop's clock, seconds.
    """

    at_sample: int
    started_at: float


@dataclass(frozen=True, kw_only=True)
class Partial:
    """The text that is recognised so far."""

    text: str


@dataclass(frozen=True, kw_only=True)
class EndGuess:
    """The person has probably finished.

    Attributes:
        text: The text that is recognised so far.
        speech_s: How long the speech was, seconds.
        ended_at: When it ended, on the loop's clock, seconds.
    """

    text: str
    speech_s: float
    ended_at: float


@dataclass(frozen=True, kw_only=True)
class SpeechResumed:
    """The last guess was wrong: the person goes on."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """The person has finished.

    Attributes:
        text: The text; empty if nothing was understood.
        words: The words on the clock of the session's microphone audio.
        started_at: When the speech began, on the loop's clock, seconds.
        ended_at: When the speech ended, on the loop's clock, seconds.
    """

    text: str
    words: tuple[common.WordMark, ...] = ()
    started_at: float
    ended_at: float


@dataclass(frozen=True, kw_only=True)
class UtteranceLost:
    """The result of what was heard will not come."""


@dataclass(frozen=True, kw_only=True)
class RecogniserAway:
    """Recognition does not work; reported once until it works again."""


@dataclass(frozen=True, kw_only=True)
class Settled:
    """No utterance is waited for any more."""


ListeningEvent: TypeAlias = (
    SpeechStarted
    | Partial
    | EndGuess
    | SpeechResumed
    | Utterance
    | UtteranceLost
    | RecogniserAway
    | Settled
)
OnListeningEvent: TypeAlias = Callable[[ListeningEvent], Awaitable[None]]
"""Takes the events in order; the next one follows when it has returned."""
