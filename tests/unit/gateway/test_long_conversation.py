"""Minutes of conversation in virtual time: no growth, no drift, no leftovers."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, RATE, Transcript, conversation, now, run
from tests.unit.gateway.speaking import Speaker, speech

TURNS = 9


@pytest.mark.timeout(120)
def test_minutes_of_talk_leave_nothing_behind() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG[:12]
        stages.asr.guess_silence_ms, stages.asr.end_silence_ms = 200, None
        async with conversation(stages.mesh(), pb.ConverseConfig(user_id="eve")) as (session, said):
            microphone = Speaker(session)
            for number in range(1, TURNS + 1):
                stages.asr.texts = ["what can you do", "uh-huh", "why is that so"]
                await microphone.say(speech(0.1, 0.5, 0.8))
                await said.until_kind("turn_started", number)
                await microphone.say(speech(1.0, 0.3, 0.7))
                if number % 3 == 0:
                    await session.stop()
                await microphone.say(speech(0.5))
                await said.until_kind("turn_ended", number, timeout_s=60)
                check_schedule(said, number)
                forget(stages, said)
            assert now() > 70
            assert len(asyncio.all_tasks()) < 10
            gc.collect()
            # A session keeps 30 s of microphone audio, which is 1 MB, and 40 messages.
            assert tracemalloc.get_traced_memory()[0] < 3_000_000

    tracemalloc.start()
    try:
        run(main)
    finally:
        tracemalloc.stop()


def check_schedule(said: Transcript, number: int) -> None:
    """The last media of a turn keeps the schedule of the first one, holds included."""
    turn_id = said.all("turn_started")[number - 1].header.turn_id
    media = [(at, e.media) for at, e in said.events if e.WhichOneof("event") == "media"]
    times = [(at, m) for at, m in media if m.header.turn_id == turn_id]
    held_s = sum(r.paused_us for r in said.all("turn_resumed") if r.header.turn_id == turn_id) / 1e6
    assert times
    zero, (at, last) = times[0][0], times[-1]
    due = max(0.0, last.audio.start_sample / RATE - 0.3) + held_s
    assert at - zero <= due + 0.01


def forget(stages: DirectStages, said: Transcript) -> None:
    """Drops the test's own references."""
    kept = ("turn_started", "turn_ended")
    said.events = [(at, e) for at, e in said.events if e.WhichOneof("event") in kept]
    for stage in (stages.asr, stages.llm, stages.tts, stages.avatar):
        stage.configs.clear()
        stage.interrupts.clear()
    stages.asr.received.clear()
    stages.avatar.marks.clear()
    stages.tts.segments.clear()
    stages.memory.requests.clear()
    while not stages.tts.made.empty():
        stages.tts.made.get_nowait()
    while not stages.memory.remembered.empty():
        stages.memory.remembered.get_nowait()
