"""A gateway that receives a stop: no event and no question is lost."""

from __future__ import annotations

import asyncio

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.session.session import Session
from services.runtime.errors import Unavailable
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, Transcript, conversation, run
from tests.unit.gateway.speaking import Speaker, speech


def going_away(said: Transcript) -> int:
    return sum(n.kind == pb.NOTICE_KIND_GOING_AWAY for n in said.all("notice"))


def questions(stages: DirectStages) -> list[str]:
    return [config.question for config in stages.llm.configs]


def test_stop_during_a_drain_is_confirmed() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        mesh = stages.mesh()
        async with conversation(mesh) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            mesh.drain.begin()
            await session.stop()
            await said.until_end()
            assert said.kinds()[-2:] == ["turn_interrupted", "turn_ended"]
            (ended,) = said.all("turn_ended")
            assert ended.reason == common.END_REASON_INTERRUPTED
            assert ended.heard_text

    run(main)


def test_question_typed_during_a_drain_is_refused() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        mesh = stages.mesh()
        async with conversation(mesh) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            mesh.drain.begin()
            await session.text("And this?")
            await said.until_end()
            assert len(said.all("turn_interrupted")) == len(said.all("turn_ended")) == 1
            assert said.kinds()[-1] == "notice"
            assert going_away(said) == 2
            assert questions(stages) == ["Tell me all."]

    run(main)


def test_question_typed_just_before_a_drain_is_answered() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.tts.deaf = LONG, True
        mesh = stages.mesh(stop_timeout_ms=100)
        async with conversation(mesh) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            stages.llm.answer = ["It is short."]
            asking = asyncio.create_task(session.text("And this?"))
            await asyncio.sleep(0.05)
            mesh.drain.begin()
            await asking
            await said.until_end()
            assert said.kinds()[-1] == "turn_ended"
            assert said.all("turn_ended")[1].text == "It is short."
            assert going_away(said) == 1

    run(main)


@pytest.mark.parametrize("partial", ["wh", "what about"])
def test_words_spoken_into_an_answer_during_a_drain_are_refused(partial: str) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.asr.texts = LONG, ["what about you"]
        stages.asr.partial, stages.asr.guess_silence_ms = partial, 200
        mesh = stages.mesh()
        async with conversation(mesh) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            mesh.drain.begin()
            await Speaker(session).say(speech(0.1, 0.8, 0.8))
            await said.until_end()
            assert len(said.all("turn_interrupted")) == len(said.all("turn_ended")) == 1
            assert said.all("user_transcript")[-1].text == "what about you"
            assert said.kinds()[-1] == "notice"
            assert going_away(said) == 2
            assert questions(stages) == ["Tell me all."]

    run(main)


def test_stop_that_is_spoken_during_a_drain_ends_the_session_without_a_second_notice() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.asr.texts = LONG, ["stop"]
        mesh = stages.mesh()
        async with conversation(mesh) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            mesh.drain.begin()
            await Speaker(session).say(speech(0.1, 0.4, 0.8))
            await said.until_end()
            assert said.all("turn_ended")[0].reason == common.END_REASON_INTERRUPTED
            assert going_away(said) == 1

    run(main)


def test_question_whose_speech_ended_before_a_drain_is_answered() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = ["It is short."]
        stages.asr.guess_silence_ms, stages.asr.end_silence_ms = 200, 500
        mesh = stages.mesh()
        async with conversation(mesh) as (session, said):
            microphone = Speaker(session)
            await microphone.say(speech(0.1, 0.8, 0.24))
            mesh.drain.begin()
            await microphone.say(speech(0.6))
            await said.until_end()
            (ended,) = said.all("turn_ended")
            assert ended.text == "It is short."
            assert ended.speculative
            assert going_away(said) == 1

    run(main)


def test_question_that_is_still_spoken_when_a_drain_begins_is_refused() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.guess_silence_ms = 200
        mesh = stages.mesh()
        async with conversation(mesh) as (session, said):
            microphone = Speaker(session)
            await microphone.say(speech(0.1, 0.5))
            mesh.drain.begin()
            await microphone.say(speech(0.0, 0.5, 0.8))
            await said.until_end()
            assert said.all("user_transcript")[-1].final
            assert said.kinds()[-1] == "notice"
            assert going_away(said) == 2
            assert questions(stages) == []

    run(main)


def test_speech_without_words_does_not_hold_a_drain() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr.texts = [""]
        mesh = stages.mesh()
        async with conversation(mesh) as (session, said):
            microphone = Speaker(session)
            await microphone.say(speech(0.1, 0.5))
            mesh.drain.begin()
            await microphone.say(speech(0.8))
            await said.until_end()
            assert going_away(said) == 1

    run(main)


def test_microphone_that_is_switched_off_in_the_middle_of_a_word_does_not_hold_a_drain() -> None:
    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh()
        async with conversation(mesh) as (session, said):
            await Speaker(session).say(speech(0.1, 0.5))
            mesh.drain.begin()
            await said.until_end(timeout_s=5)
            assert going_away(said) == 1

    run(main)


def test_lost_recogniser_does_not_hold_a_drain() -> None:
    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh()
        async with conversation(mesh) as (session, said):
            await Speaker(session).say(speech(0.1, 0.5))
            mesh.drain.begin()
            stages.asr.fail_with = Unavailable("gone")
            await Speaker(session, start_sample=9_600).say(speech(0.0, 0.2))
            await said.until_end()

    run(main)


def test_answer_to_the_last_question_is_interrupted_by_words_after_the_half_close() -> None:
    """The client has half-closed; its microphone audio is still being recognised."""

    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.asr.partial, stages.tts.deaf = LONG, "what about", True
        async with conversation(stages.mesh(stop_timeout_ms=100)) as (session, said):
            await session.text("Tell me all.")
            await said.until_kind("media", 20)
            await Speaker(session).say(speech(0.1, 0.06))
            session.finish()
            assert not said.all("turn_ended")
            await said.until_end()
            assert said.all("turn_ended")[0].reason == common.END_REASON_INTERRUPTED

    run(main)


def test_session_is_not_opened_during_a_drain() -> None:
    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh()
        mesh.drain.begin()
        with pytest.raises(Unavailable, match="restart") as refused:
            async with Session.open(mesh, pb.ConverseConfig()):
                pytest.fail("the session was opened")
        assert refused.value.reason == "GOING_AWAY"
        assert mesh.places.active == 0

    run(main)
