"""Input events take a single path: the client is informed first, and never waited for."""

from __future__ import annotations

import asyncio

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.listening.events import Partial
from gateway.session.session import Session
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, conversation, now, run
from tests.unit.gateway.speaking import Speaker, speech

CAUSES_AND_EFFECTS = (
    "speech_started",
    "user_transcript",
    "turn_started",
    "turn_interrupted",
    "turn_ended",
)


def test_transcripts_come_before_the_turn_that_they_cause() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.asr.partial = LONG, "what about"
        stages.asr.texts = ["what about you"]
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            await Speaker(session).say(speech(0.1, 0.8, 0.8))
            await said.until_kind("turn_started", 2)
            shown = [kind for kind in said.kinds() if kind in CAUSES_AND_EFFECTS]
            assert shown == [
                "turn_started",
                "speech_started",
                "user_transcript",
                "turn_interrupted",
                "turn_ended",
                "user_transcript",
                "turn_started",
            ]

    run(main)


def test_client_that_does_not_read_cannot_hold_back_an_interruption() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.asr.partial = LONG, "wh"
        stages.asr.texts = ["what about you"]
        async with Session.open(stages.mesh(), pb.ConverseConfig()) as session:
            await session.text("Tell me all.")
            await asyncio.sleep(30)  # by then all that a client may leave unread is unread
            spoken_at = now()
            await Speaker(session).say(speech(0.1, 0.8, 0.8))
            async with asyncio.timeout(1):
                while not stages.tts.interrupts:
                    await stages.tts.stream_ended.wait()
            assert now() - spoken_at < 2

    run(main)


def test_partials_are_left_out_while_the_client_is_behind() -> None:
    async def main(stages: DirectStages) -> None:
        async with Session.open(stages.mesh(), pb.ConverseConfig()) as session:
            for number in range(200):
                await session._events.take(Partial(text=f"word {number}"))
            session.finish()
            texts = [event.user_transcript.text async for event in session.events()]
            assert texts[1:] == [f"word {number}" for number in range(63)]

    run(main)
