"""A recording of what a session heard and what it decided, as JSON Lines that can be replayed.

A line is {"at_ms": 1200, "heard": "partial", "text": "what"} or {"at_ms": 1900, "said":
"turn_started", "question": "what can you do"}; times count from the opening. It holds what people
say, so that it is written only where `ANIMA_GATEWAY_TURN_LOG_DIR` names a folder. `python -m
tests.replay FILE` runs the turn-taking over it again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TextIO

from google.protobuf.json_format import MessageToDict

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.listening.listening import Listener, Utterance

_DECISIONS = ("turn_started", "turn_paused", "turn_resumed", "turn_interrupted", "turn_ended")


class TurnLog:
    """Writes the recording of one session.

    Args:
        file: Where to; closed by `close`.
        config: How the session was opened.
    """

    def __init__(self, file: TextIO, config: pb.ConverseConfig) -> None:
        self._file = file
        self._zero = asyncio.get_running_loop().time()
        self._write(opened=MessageToDict(config, preserving_proto_field_name=True))

    @classmethod
    def open(cls, folder: str, session_id: str, config: pb.ConverseConfig) -> TurnLog:
        """Begins a recording in a folder, beside those of earlier sessions of the same id.

        Raises:
            OSError: Nothing can be written there.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        number = len(list(place.glob(f"{session_id}-*.jsonl"))) + 1
        # A line at a time, so that a recording of what went wrong is whole.
        return cls((place / f"{session_id}-{number}.jsonl").open("x", buffering=1), config)

    def close(self) -> None:
        """Ends the recording."""
        self._file.close()

    def heard(self, what: str, **facts: Any) -> None:
        """Notes an event that the session has to decide about."""
        self._write(heard=what, **facts)

    async def saying(
        self, events: AsyncIterator[pb.ConverseResponse]
    ) -> AsyncIterator[pb.ConverseResponse]:
        """Notes the decisions among the events of the session, and gives all of them on."""
        async for event in events:
            kind = event.WhichOneof("event")
            if kind in _DECISIONS:
                self._write(said=kind, **_facts(event))
            yield event

    def listening(self, listener: Listener) -> Listener:
        """Gives a listener that notes everything before it hands it on."""

        async def speech_started(at_sample: int, at: float) -> None:
            self.heard("speech_started", began_ms=self._ms(at))
            await listener.speech_started(at_sample, at)

        async def partial(text: str) -> None:
            self.heard("partial", text=text)
            await listener.partial(text)

        async def guessed(text: str, *, seconds: float, ended_at: float) -> None:
            self.heard("guessed", text=text, seconds=seconds, ended_ms=self._ms(ended_at))
            await listener.guessed(text, seconds=seconds, ended_at=ended_at)

        async def resumed() -> None:
            self.heard("resumed")
            await listener.resumed()

        async def heard(utterance: Utterance) -> None:
            started_ms, ended_ms = self._ms(utterance.started_at), self._ms(utterance.ended_at)
            self.heard("utterance", text=utterance.text, began_ms=started_ms, ended_ms=ended_ms)
            await listener.heard(utterance)

        async def lost() -> None:
            self.heard("lost")
            await listener.lost()

        return Listener(
            speech_started=speech_started,
            partial=partial,
            guessed=guessed,
            resumed=resumed,
            heard=heard,
            lost=lost,
            away=listener.away,
            settled=listener.settled,
        )

    def _write(self, **facts: Any) -> None:
        line = {"at_ms": self._ms(asyncio.get_running_loop().time()), **facts}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _ms(self, at: float) -> int:
        return round((at - self._zero) * 1000)


def _facts(event: pb.ConverseResponse) -> dict[str, Any]:
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
