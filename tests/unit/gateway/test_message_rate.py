"""The number of messages of an answer: few, and no awaited one is delayed."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from anima.gateway.v1 import gateway_pb2 as pb
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, conversation, now, run

TOKENS = tuple(f" word{number}" for number in range(60))


def test_text_leaves_at_once_and_then_as_one_reads() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.llm.interval_s = TOKENS, 0.02
        config = pb.ConverseConfig(text_only=True)
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text("Tell me all.")
            ended = await said.until_kind("turn_ended")
            deltas, times = said.all("text_delta"), said.times("text_delta")
            assert 10 <= len(deltas) <= 14
            assert deltas[0].text == TOKENS[0]
            pauses = [late - early for early, late in pairwise(times)]
            assert max(pauses) < 0.11
            place = 0
            for delta in deltas:
                assert delta.start_char == place
                place += len(delta.text)
            assert "".join(delta.text for delta in deltas) == ended.text

    run(main)


def test_text_is_not_held_while_the_model_pauses() -> None:
    async def main(stages: DirectStages) -> None:
        pause = asyncio.Event()
        stages.llm.answer, stages.llm.interval_s = ("One", " two", " three", pause, " four."), 0.02
        config = pb.ConverseConfig(text_only=True)
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text("Count.")
            await said.until(lambda: len(said.all("text_delta")) == 2, timeout_s=0.2)
            assert said.all("text_delta")[1].text == " two three"
            pause.set()
            assert (await said.until_kind("turn_ended")).text == "One two three four."

    run(main)


def test_a_segment_is_announced_after_its_text() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.llm.interval_s = LONG[:4], 0.02
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("turn_ended", timeout_s=60)
            known = 0
            for _, event in said.events:
                if event.WhichOneof("event") == "text_delta":
                    known += len(event.text_delta.text)
                elif event.WhichOneof("event") == "segment_started":
                    assert event.segment_started.chars.end_char <= known

    run(main)


def test_media_as_made_leaves_in_few_messages_without_waiting_long() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        config = pb.ConverseConfig(pacing=pb.PACING_AS_MADE, audio_only=True)
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text("Tell me all.")
            ended = await said.until_kind("turn_ended")
            media = said.all("media")
            assert sum(len(each.audio.pcm) // 2 for each in media) == ended.sample_count
            assert all(len(each.audio.pcm) <= 65_536 for each in media)
            segments = len(said.all("segment_started"))
            assert len(media) <= 3 * segments
            assert now() < 0.02 * segments

    run(main)
