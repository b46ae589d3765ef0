"""A recording of a session's input events and decisions, as JSON Lines that can be replayed.

A line is {"at_ms": 1200, "heard": "partial", "text": "what"} or {"at_ms": 1900, "said":
"turn_started", "question": "what can you do"}; times count from the opening. It contains the words
of people, so it is written only if `ANIMA_GATEWAY_TURN_LOG_DIR` names a folder. `anima replay FILE`
replays it through the turn-taking.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.listening.events import (
    EndGuess,
    Partial,
    SpeechResumed,
    SpeechStarted,
    Utterance,
    UtteranceLost,
)
from gateway.session.events import Played, SessionEvent, StopCommand, Typed
from gateway.session.line_file import LineFile

_DECISIONS = ("turn_started", "turn_paused", "turn_resumed", "turn_interrupted", "turn_ended")


class Recording:
    """The recording of one session; times are those of the event loop.

    Args:
        write: Called with each line.
        config: The config of the session.
    """

    def __init__(self, write: Callable[[str], None], config: pb.ConverseConfig) -> None:
        self._write_line = write
        self._zero = asyncio.get_running_loop().time()
        self._write(opened=MessageToDict(config, preserving_proto_field_name=True))

    def heard(self, event: SessionEvent) -> None:
        """Records an event that the session must decide about."""
        if (facts := self._heard_facts(event)) is not None:
            self._write(**facts)

    async def saying(
        self, events: AsyncIterator[pb.ConverseResponse]
    ) -> AsyncIterator[pb.ConverseResponse]:
        """Yields all events of the session, and records the decisions among them."""
        async for event in events:
            kind = event.WhichOneof("event")
            if kind in _DECISIONS:
                self._write(said=kind, **_said_facts(event))
            yield event

    def _heard_facts(self, event: SessionEvent) -> dict[str, Any] | None:
        """Returns the fields of an event that a replay needs; None if it decides nothing."""
        match event:
            case SpeechStarted():
                return {"heard": "speech_started", "began_ms": self._ms(event.started_at)}
            case Partial():
                return {"heard": "partial", "text": event.text}
            case EndGuess():
                ended_ms = self._ms(event.ended_at)
                facts = {"text": event.text, "seconds": event.speech_s, "ended_ms": ended_ms}
                return {"heard": "guessed", **facts}
            case SpeechResumed():
                return {"heard": "resumed"}
            case Utterance():
                began_ms, ended_ms = self._ms(event.started_at), self._ms(event.ended_at)
                facts = {"text": event.text, "began_ms": began_ms, "ended_ms": ended_ms}
                return {"heard": "utterance", **facts}
            case UtteranceLost():
                return {"heard": "lost"}
            case Typed():
                return {"heard": "typed", "text": event.text}
            case StopCommand():
                return {"heard": "stop"}
            case Played():
                report = event.report
                facts = {"turn": report.turn_id, "played_samples": report.played_samples}
                return {"heard": "playback", **facts}
            case _:
                return None

    def _write(self, **facts: Any) -> None:
        line = {"at_ms": self._ms(asyncio.get_running_loop().time()), **facts}
        self._write_line(json.dumps(line, ensure_ascii=False))

    def _ms(self, at: float) -> int:
        return round((at - self._zero) * 1000)


def recording_file(folder: str, session_id: str) -> LineFile:
    """Opens the file of a recording, distinct from those of other sessions with the same id.

    Args:
        folder: The folder of the recordings; created if it is missing.
        session_id: The id of the session, checked by `check_turn_id`.
    """
    began = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    # A client may open several sessions with the same id, even at the same time.
    return LineFile(Path(folder) / f"{session_id}-{began}-{secrets.token_hex(4)}.jsonl")


def event_of(line: dict[str, Any], *, now: float) -> SessionEvent:
    """Returns the event that is recorded in a line of the kind "heard".

    Args:
        line: The line; its times count from 0 on the loop's clock.
        now: The time on the loop's clock, seconds.

    Raises:
        ValueError: Events of this kind are not recorded.
    """
    match line["heard"]:
        case "speech_started":
            return SpeechStarted(at_sample=0, started_at=line["began_ms"] / 1000)
        case "partial":
            return Partial(text=line["text"])
        case "guessed":
            ended_at = line["ended_ms"] / 1000
            return EndGuess(text=line["text"], speech_s=line["seconds"], ended_at=ended_at)
        case "resumed":
            return SpeechResumed()
        case "utterance":
            began_at, ended_at = line["began_ms"] / 1000, line["ended_ms"] / 1000
            return Utterance(text=line["text"], started_at=began_at, ended_at=ended_at)
        case "lost":
            return UtteranceLost()
        case "typed":
            return Typed(text=line["text"], asked_at=now)
        case "stop":
            return StopCommand()
        case "playback":
            report = pb.PlaybackReport(turn_id=line["turn"], played_samples=line["played_samples"])
            return Played(report=report)
        case other:
            raise ValueError(f"heard: {other!r} is not recorded")


def _said_facts(event: pb.ConverseResponse) -> dict[str, Any]:
    kind = event.WhichOneof("event")
    if kind == "turn_started":
        started = event.turn_started
        return {"turn": started.header.turn_id, "question": started.question}
    if kind == "turn_interrupted":
        return {"heard_text": event.turn_interrupted.heard_text}
    if kind == "turn_ended":
        ended = event.turn_ended
        return {
            "text": ended.text,
            "heard_text": ended.heard_text,
            "sample_count": ended.sample_count,
            "speculative": ended.speculative,
        }
    return {}
