"""The language model reads the conversation while the person still speaks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from services.runtime.errors import AnimaError, Unavailable
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, conversation, now, run
from tests.unit.gateway.speaking import Speaker, speech

QUESTION = "tell me a story"


def spoken_by(stages: DirectStages) -> str:
    return "".join(piece for piece in stages.llm.answer if isinstance(piece, str))


def test_the_conversation_is_read_as_soon_as_somebody_speaks() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = [QUESTION]
        config = pb.ConverseConfig(user_id="eve", language="en", time_zone="Europe/Berlin")
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text("Hello.")
            await said.until_kind("turn_ended")
            assert not stages.llm.prefills, "who types waits for nothing"
            await Speaker(session).say(speech(0.3, 0.5))
            (read,) = stages.llm.prefills
            assert [message.text for message in read.history] == [
                "Hello.",
                said.all("turn_ended")[0].heard_text,
            ]
            assert (read.user_id, read.language) == ("eve", "en")
            assert read.time_zone == "Europe/Berlin"
            assert not read.question
            assert read.tools == stages.llm.configs[0].tools, "they are a part of the prompt"
            (answered,) = stages.llm.configs
            assert list(read.tools) == list(answered.tools), "they are read before the history"

    run(main)


def test_it_ends_when_the_question_is_asked() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = [QUESTION]
        stages.llm.prefill_s = 20.0
        async with conversation(stages.mesh()) as (session, said):
            await Speaker(session).say(speech(0.3, 1.0))
            assert stages.llm.prefills_open == 1
            await Speaker(session, start_sample=20_800).say(speech(1.0))
            ended = await said.until_kind("turn_ended")
            assert stages.llm.prefills_open == 0
            assert ended.heard_text == spoken_by(stages), "nothing of it is spoken"
            assert len(said.all("turn_started")) == 1

    run(main)


def test_there_is_one_at_a_time() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = ["", ""]
        stages.llm.prefill_s = 5.0
        async with conversation(stages.mesh()) as (session, _):
            await Speaker(session).say(speech(0.3, 0.4, 1.5, 0.4, 1.5))
            assert len(stages.llm.prefills) == 1
            assert stages.llm.prefills_open == 1
        await asyncio.sleep(0.1)
        assert stages.llm.prefills_open == 0, "it ends with the session"

    run(main)


def test_who_interrupts_is_read_with_what_was_heard() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts, stages.asr.partial = ["no wait tell me another one"], "no wait"
        stages.llm.answer = LONG
        async with conversation(stages.mesh()) as (session, said):
            await session.text("A story, please.")
            await said.until_kind("media", 20)
            await Speaker(session).say(speech(0.3, 2.0))
            heard = said.all("turn_interrupted")[0].heard_text
            (read,) = stages.llm.prefills
            assert read.history[-1].text == heard

    run(main)


@pytest.mark.parametrize("error", [Unavailable("restarting"), AnimaError("broken")])
def test_a_failure_costs_nothing(error: AnimaError) -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = [QUESTION]
        stages.llm.refuse_prefill = error
        async with conversation(stages.mesh()) as (session, said):
            await Speaker(session).say(speech(0.3, 1.0, 1.0))
            ended = await said.until_kind("turn_ended")
            assert ended.heard_text == spoken_by(stages)
            assert not said.all("notice")

    run(main)


def test_it_does_not_delay_the_answer() -> None:
    async def started(stages: DirectStages, **settings: Any) -> float:
        stages.asr.texts = [QUESTION]
        stages.llm.prefill_s = 20.0
        async with conversation(stages.mesh(**settings)) as (session, said):
            begun = now()
            await Speaker(session).say(speech(0.3, 1.0, 1.0))
            await said.until_kind("media")
            return said.times("media")[0] - begun

    async def main(stages: DirectStages) -> None:
        with_it = await started(stages)
        assert stages.llm.prefills
        stages.llm.prefills.clear()
        without = await started(stages, prefill=False)
        assert not stages.llm.prefills
        assert with_it == pytest.approx(without, abs=0.001)

    run(main)
