"""The single path of all input events of a session: record, inform the client, act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from anima.gateway.v1 import gateway_pb2 as pb
from gateway import notices
from gateway.listening.events import (
    EndGuess,
    LanguageNotHeard,
    ListeningEvent,
    Partial,
    RecogniserAway,
    Settled,
    SpeechResumed,
    SpeechStarted,
    Utterance,
    UtteranceLost,
)
from gateway.session.turns.turn_taking import TurnTaking
from gateway.turn.playout.outbox import Outbox


@dataclass(frozen=True, kw_only=True)
class Typed:
    """The person typed a question.

    Attributes:
        text: The question.
        asked_at: The time of its arrival on the loop's clock, seconds.
    """

    text: str
    asked_at: float


@dataclass(frozen=True, kw_only=True)
class StopCommand:
    """The client asked to stop the current answer."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """The client reported how far it has played a turn."""

    report: pb.PlaybackReport


SessionEvent: TypeAlias = ListeningEvent | Typed | StopCommand | Played


class SessionEvents:
    """Processes all input events of a session, one after another for each source.

    The order is the same for every event. The event is recorded first, so that a recording also
    contains the event that caused a failure. Then the client is informed, so that a transcript
    always precedes the `turn_started` or `turn_interrupted` that it causes; this never waits for a
    slow client, which could otherwise delay an interruption. Then the turn-taking acts.

    Args:
        turns: The turn-taking that acts on the events.
        outbox: The outbox for the client's events.
        language: BCP-47 language of notices.
        record: Called with every event before anything else happens.
        on_settled: Called when no utterance is pending any more.
    """

    def __init__(
        self,
        *,
        turns: TurnTaking,
        outbox: Outbox,
        language: str,
        record: Callable[[SessionEvent], None],
        on_settled: Callable[[], None],
    ) -> None:
        self._turns = turns
        self._outbox = outbox
        self._language = language
        self._record = record
        self._on_settled = on_settled

    async def take(self, event: SessionEvent) -> None:
        """Processes an event and waits until the turn-taking has acted on it."""
        self._record(event)
        self._inform(event)
        await self._act(event)

    def played(self, event: Played) -> None:
        """Processes a playback report; does not wait."""
        self._record(event)
        self._report(event)

    def _inform(self, event: SessionEvent) -> None:
        match event:
            case SpeechStarted():
                started = pb.SpeechStarted(at_sample=event.at_sample)
                self._outbox.post(pb.ConverseResponse(speech_started=started))
            case Partial():
                # Without room it is skipped: the next one contains all the recognised text.
                if self._outbox.has_room:
                    transcript = pb.UserTranscript(text=event.text, language=event.language)
                    self._outbox.post(pb.ConverseResponse(user_transcript=transcript))
            case Utterance() if event.text:
                transcript = pb.UserTranscript(
                    text=event.text, final=True, words=event.words, language=event.language
                )
                self._outbox.post(pb.ConverseResponse(user_transcript=transcript))
            case Utterance() if not self._turns.answering:
                notice = notices.not_understood(self._language)
                self._outbox.post(pb.ConverseResponse(notice=notice))
            case RecogniserAway():
                notice = notices.degraded("asr", self._language)
                self._outbox.post(pb.ConverseResponse(notice=notice))
            case LanguageNotHeard():
                notice = notices.language_not_heard(
                    self._language, event.remedy, spoken=event.language, known=event.known
                )
                self._outbox.post(pb.ConverseResponse(notice=notice))

    def _report(self, event: Played) -> None:
        # A report about an older turn is late, not invalid.
        if (turn := self._turns.turn(event.report.turn_id)) is not None:
            turn.playback(event.report)

    async def _act(self, event: SessionEvent) -> None:
        turns = self._turns
        match event:
            case SpeechStarted():
                await turns.speech_started(event.started_at)
            case Partial():
                await turns.partial(event.text)
            case EndGuess():
                await turns.guessed(event)
            case SpeechResumed():
                await turns.resumed()
            case Utterance():
                await turns.heard(event)
            case UtteranceLost():
                await turns.silent()
            case Typed():
                await turns.ask(event.text, asked_at=event.asked_at)
            case StopCommand():
                await turns.stop()
            case Played():
                self._report(event)
            case Settled():
                self._on_settled()
            case RecogniserAway() | LanguageNotHeard():
                pass  # the client was informed; the utterance was reported as lost
            case _:
                assert_never(event)
