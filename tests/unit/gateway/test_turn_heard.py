"""What was heard of an answer, and what history and memory keep of it."""

from __future__ import annotations

import asyncio

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from tests.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, RATE, conversation, now, run


@pytest.mark.parametrize("seconds", [0.5, 3.0, 7.7])
def test_heard_text_is_cut_at_the_word_by_the_schedule(seconds: float) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media")
            zero = now()
            await asyncio.sleep(zero + seconds - now())
            await session.stop()
            interrupted = await said.until_kind("turn_interrupted")
            (ended,) = said.all("turn_ended")
            words = [word for marks in said.all("marks") for word in marks.words]
            played = seconds * RATE
            heard = [
                w for w in words if w.samples.start_sample + w.samples.sample_count / 2 < played
            ]
            assert interrupted.heard_text == ended.heard_text
            assert interrupted.heard_text == ended.text[: heard[-1].chars.end_char]
            assert ended.reason == common.END_REASON_INTERRUPTED

    run(main)


def test_heard_text_follows_the_client_if_it_reports() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            turn_id = said.all("turn_started")[0].header.turn_id
            session.playback(pb.PlaybackReport(turn_id=turn_id, played_samples=RATE // 4))
            await session.stop()
            interrupted = await said.until_kind("turn_interrupted")
            assert interrupted.heard_text == "Well, let me"

    run(main)


def test_history_keeps_what_was_heard_and_memory_learns_it() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        config = pb.ConverseConfig(user_id="eve", session_id="s1")
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 10)
            await session.text("Stop, what about this?")
            heard = (await said.until_kind("turn_interrupted")).heard_text
            await said.until_kind("turn_started", 2)
            await said.until_kind("text_delta", len(LONG) + 1)
            history = stages.llm.configs[1].history
            assert [(m.role, m.text) for m in history] == [
                (llm.ROLE_USER, "Tell me all."),
                (llm.ROLE_ASSISTANT, heard),
            ]
            remembered = await stages.memory.remembered.get()
            assert remembered.user_id == "eve"
            assert [item.text for item in remembered.items] == ["Tell me all.", heard]
            turn_id = said.all("turn_started")[0].header.turn_id
            assert {(i.session_id, i.turn_id) for i in remembered.items} == {("s1", turn_id)}
            assert stages.memory.requests[0].exclude_session_id == "s1"

    run(main)


def test_without_a_user_nothing_is_recalled_or_remembered() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Hello?")
            await said.until_kind("turn_ended")
        assert not stages.memory.requests
        assert stages.memory.remembered.empty()

    run(main)


def test_closing_in_an_answer_still_remembers_the_heard_part() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh(), pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 10)
        remembered = await stages.memory.remembered.get()
        assert remembered.items[1].text.startswith("Well,")

    run(main)
