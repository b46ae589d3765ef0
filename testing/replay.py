"""Replays a recording of a session through the turn-taking, as `anima replay` does.

A recording (`gateway/session/recording.py`) contains the input events of a session with their
times. The same events are fed into the same code in virtual time, with scripted stages that answer
each question as it was answered then. The output is the current decisions, with a mark where they
differ from the recorded ones.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.session.events import SessionEvents
from gateway.session.history import History
from gateway.session.opening import open_with
from gateway.session.pictures import WaitingPictures
from gateway.session.recording import Recording, event_of
from gateway.session.shown_idle import IdleLoop
from gateway.session.turns.turn_taking import TurnTaking
from gateway.turn.playout.outbox import Outbox
from testing.fakes.direct import DirectStages
from testing.virtual_time import in_virtual_time

Line = dict[str, Any]


class NotARecordingError(Exception):
    """A file is no recording of a session."""


def read(path: Path) -> list[Line]:
    """Returns the lines of a recording.

    Raises:
        NotARecordingError: The file is none.
        OSError: It cannot be read.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        ParseDict(lines[0]["opened"], pb.ConverseConfig())
    except (ValueError, LookupError, TypeError, ParseError) as error:
        raise NotARecordingError(f"{path} is no recording of a session") from error
    return lines


def decisions(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """Returns the decisions in order, each with its question if it has one."""
    return [(line["said"], line.get("question", "")) for line in lines if "said" in line]


def replay(lines: Sequence[Line]) -> list[Line]:
    """Returns the lines that the recording would have now."""

    async def main() -> list[Line]:
        return await _Replay(lines).run()

    return in_virtual_time(main)


class _Replay:
    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._stages = DirectStages()
        self._idle = asyncio.Event()
        self._turn_ids: list[str] = []
        self._recorded_ids = [line["turn"] for line in lines if line.get("said") == "turn_started"]

    async def run(self) -> list[Line]:
        self._script_answers()
        config = ParseDict(self._lines[0]["opened"], pb.ConverseConfig())
        mesh = self._stages.mesh()
        outbox = Outbox()
        turns = TurnTaking(
            mesh=mesh,
            opening=open_with(config, await mesh.catalogue.read()),
            outbox=outbox,
            history=History([]),
            pictures=WaitingPictures(mesh.pictures),
            idle=IdleLoop(frame_rate_hz=0),
            on_idle=self._idle.set,
            on_failure=outbox.finish,
        )
        events = SessionEvents(
            turns=turns,
            outbox=outbox,
            language="en",
            record=lambda _: None,
            on_settled=lambda: None,
        )
        written: list[str] = []
        log = Recording(written.append, config)

        async def listen() -> None:
            async for event in log.saying(outbox.read()):
                if event.HasField("turn_started"):
                    self._turn_ids.append(event.turn_started.header.turn_id)

        listening = asyncio.create_task(listen())
        for line in self._lines:
            if "heard" in line:
                await asyncio.sleep(line["at_ms"] / 1000 - _now())
                await events.take(event_of(self._with_its_turn(line), now=_now()))
        while turns.answering:
            self._idle.clear()
            await self._idle.wait()
        await turns.close()
        outbox.finish()
        await listening
        return [json.loads(line) for line in written]

    def _script_answers(self) -> None:
        """Answers each question with its recorded text, all at the same pace of speech."""
        question = ""
        whole, partly = [0], [1]
        rate_hz = self._stages.mesh().settings.sample_rate_hz
        for line in self._lines:
            question = line.get("question", question)
            if line.get("said") == "turn_ended" and line["text"]:
                self._stages.llm.answers[question] = [line["text"]]
                if heard := line["heard_text"]:
                    audio_ms = 1000 * line["sample_count"] / rate_hz
                    (whole if heard == line["text"] else partly).append(
                        round(audio_ms / len(heard))
                    )
        # Of an interrupted answer, some audio had been sent ahead of the heard part.
        self._stages.tts.ms_per_char = max(whole) or max(partly)

    def _with_its_turn(self, line: Line) -> Line:
        """Returns a playback report with the id that its turn has now."""
        if line["heard"] != "playback":
            return line
        return {**line, "turn": self._turn_ids[self._recorded_ids.index(line["turn"])]}


def _now() -> float:
    return asyncio.get_running_loop().time()
