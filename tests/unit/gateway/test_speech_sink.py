"""The speaker and its sink, without a face or a player."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from anima.common.v1 import common_pb2 as common
from anima.llm.v1 import llm_pb2 as llm
from gateway.session.shown_idle import IdleLoop
from gateway.stages.route import Route
from gateway.stages.spec import AnswerKind
from gateway.turn.events import TurnEvents
from gateway.turn.playout.gate import Gate
from gateway.turn.playout.outbox import Outbox
from gateway.turn.playout.schedule import Schedule
from gateway.turn.question import Question
from gateway.turn.speaking.manner import Manner
from gateway.turn.speaking.speaker import Speaker
from gateway.turn.state import TurnState
from gateway.turn.streams import TurnStreams
from gateway.turn.timing.spans import SpanLog
from gateway.turn.writing.segmenter import Segment
from gateway.turn.writing.writer import Writer
from services.runtime.errors import Unavailable
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import RATE, run

TEXTS = ("This is the first clause,", " and this is the rest.")


@dataclass
class Recorder:
    """A sink that records its input."""

    order: list[str] = field(default_factory=list)
    words: list[common.WordMark] = field(default_factory=list)
    pcm: bytes = b""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def marks(self, marks: common.Marks) -> None:
        self.order.append(f"marks {marks.header.segment}")
        self.words.extend(marks.words)

    async def audio(self, chunk: common.AudioChunk) -> None:
        assert chunk.start_sample == len(self.pcm) // 2
        if self.order[-1] != f"audio {chunk.header.segment}":
            self.order.append(f"audio {chunk.header.segment}")
        self.pcm += chunk.pcm

    async def end(self) -> None:
        self.order.append("end")
        self.ended.set()


def question() -> Question:
    return Question(
        turn_id="turn-1",
        epoch=0,
        text="Tell me.",
        asked_at=0.0,
        spoken=False,
        session_id="session-1",
        user_id="",
        persona=llm.Persona(),
        language="en",
        notice_language="en",
        manner=Manner(),
        known_voices=(),
        avatar="",
        video=common.VideoFormat(),
        speech=True,
        face=False,
        paced=False,
        history=(),
        pictures=(),
        ai_mark=False,
        time_zone="",
        idle=IdleLoop(frame_rate_hz=0),
        route=Route(session_id="session-1", persona="anima", answers=AnswerKind.SPEECH),
    )


async def spoken(stages: DirectStages, sink: Recorder) -> tuple[TurnState, bool]:
    """Speaks `TEXTS` into a sink.

    Returns:
        The state of the turn, and whether the writer, which goes on writing, was stopped.
    """
    mesh = stages.mesh()
    state = TurnState(question=question(), manner=Manner())
    outbox = Gate(Outbox(), is_open=True)
    spans = SpanLog(turn_id="turn-1", asked_at=0.0)
    shared: dict[str, Any] = {
        "mesh": mesh,
        "events": TurnEvents(state, outbox),
        "spans": spans,
        "outbox": outbox,
        "streams": TurnStreams(
            state, settings=mesh.settings, spans=spans, stage_is_full=mesh.overload.report
        ),
    }
    schedule = Schedule(sample_rate_hz=RATE, lead_ms=0, lookahead_ms=2_000, paced=False)
    writer = Writer(state, **shared)
    speaker = Speaker(state, writer=writer, sink=sink, schedule=schedule, **shared)
    writer.language.set_result("en")
    start_char = 0
    for number, text in enumerate(TEXTS, 1):
        segment = Segment(number=number, text=text.strip(), start_char=start_char)
        writer.segments.put_nowait(segment)
        start_char += len(text)
    writer.segments.put_nowait(None)
    async with asyncio.TaskGroup() as group:
        writer.start(group, asyncio.sleep(3600))
        speaker.start(group, speaker.speak())
        await sink.ended.wait()
        stopped = writer.finished
        writer.stop()
    return state, stopped


def test_marks_come_before_their_audio_and_the_end_last() -> None:
    async def main(stages: DirectStages) -> None:
        sink = Recorder()
        state, stopped = await spoken(stages, sink)
        assert sink.order == ["marks 1", "audio 1", "marks 2", "audio 2", "end"]
        assert len(sink.pcm) // 2 == sum(len(text.strip()) for text in TEXTS) * RATE // 50
        assert sink.words == state.words
        assert state.failure is None
        assert not stopped

    run(main)


def test_voice_that_fails_ends_its_speech_once_and_stops_the_writer() -> None:
    async def main(stages: DirectStages) -> None:
        stages.tts.fail_with, stages.tts.fail_after_chunks = Unavailable("gone"), 2
        sink = Recorder()
        state, stopped = await spoken(stages, sink)
        assert sink.order.count("end") == 1
        assert sink.order[-1] == "end"
        assert sink.pcm
        assert state.failure is not None
        assert state.failure.stage == "tts"
        assert stopped

    run(main)
