"""Stages that end with OK before their work is done, or send undecodable messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway import notices
from gateway.stages.spec import STAGES
from gateway.stages.unary import ask
from services.runtime.errors import InternalError
from testing.fakes.direct import DirectStages, direct
from testing.fakes.recogniser import FakeAsr
from testing.fakes.script import GARBAGE, Fake
from testing.fakes.stages import FakeLlm, FakeTts
from tests.unit.gateway.conversing import LONG, RATE, Transcript, conversation, run
from tests.unit.gateway.speaking import Speaker, speech

Break = Callable[[Fake, int], None]


def ends(stage: Fake, after: int) -> None:
    stage.end_after = after


def garbles(stage: Fake, after: int) -> None:
    stage.garbage_after = after


def raises(stage: Fake, after: int) -> None:
    stage.raise_after = after


breaking = pytest.mark.parametrize("breaks", [ends, garbles, raises])


def assert_continuous(said: Transcript) -> None:
    place = 0
    for media in said.all("media"):
        assert media.audio.start_sample == place
        place += len(media.audio.pcm) // 2
    assert place == said.all("turn_ended")[-1].sample_count


@breaking
@pytest.mark.parametrize("after", [0, 2])
def test_answer_goes_on_without_a_face_that_ends_early(breaks: Break, after: int) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG[:4]
        breaks(stages.avatar, after)
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended", timeout_s=60)
            assert len(stages.avatar.configs) == 2, "it is tried once more"
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "avatar")
            assert ended.reason == common.END_REASON_COMPLETE
            assert ended.heard_text == ended.text == "".join(LONG[:4])
            assert_continuous(said)
            assert not said.all("media")[-1].frames

    run(main)


@breaking
def test_face_that_ends_early_once_goes_on_in_another_stream(breaks: Break) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG[:4]
        breaks(stages.avatar, 4)
        stages.avatar.break_times = 1
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended", timeout_s=60)
            assert not said.all("notice")
            assert ended.heard_text == ended.text
            assert_continuous(said)
            assert said.all("media")[-1].frames

    run(main)


def test_face_that_says_too_soon_that_all_is_rendered_has_failed() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG[:4]
        stages.avatar.ended_after_media = 2
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended", timeout_s=60)
            assert said.all("notice")[0].stage == "avatar"
            assert ended.heard_text == ended.text
            assert_continuous(said)

    run(main)


@breaking
def test_model_that_ends_early_is_apologised_for(breaks: Break) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = ["The dose that you must never exceed is", " ten a day."]
        breaks(stages.llm, 1)
        async with conversation(stages.mesh(), pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("How much?")
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_ERROR
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_STAGE_FAILED, "llm")
            apology = notices.apology("en")
            assert ended.text == f"The dose that you must never exceed is {apology}"
            assert ended.heard_text == ended.text, "what was written is still spoken"
            _, answer = (await stages.memory.remembered.get()).items
            assert answer.text == ended.heard_text
            assert len(stages.llm.configs) == 1, "a model whose words were heard is not replaced"

    run(main)


@breaking
def test_model_that_ends_before_a_word_is_replaced(breaks: Break) -> None:
    async def main(stages: DirectStages) -> None:
        breaks(stages.llm, 0)
        mesh = stages.mesh()
        mesh.llm_fallback = direct(FakeLlm(answer=["The other one answers."]))
        async with conversation(mesh) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended")
            assert (ended.reason, ended.text) == (
                common.END_REASON_COMPLETE,
                "The other one answers.",
            )
            assert not said.all("notice")

    run(main)


def test_apology_that_fills_the_answer_leaves_its_reason() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = ["x" * 90]
        ends(stages.llm, 1)
        async with conversation(stages.mesh(max_answer_chars=100)) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended", timeout_s=60)
            assert len(ended.text) == 100
            assert ended.reason == common.END_REASON_ERROR

    run(main)


# Each segment consists of marks, 20 ms, then 100 ms of audio at a time, and its end.
def messages(text: str, *, ms_per_char: int = 20) -> int:
    return 2 + -(-(len(text) * ms_per_char - 20) // 100) + 1


FIRST = "This is the first clause,"


@breaking
def test_segments_after_an_early_end_are_spoken_by_another_voice(breaks: Break) -> None:
    async def main(stages: DirectStages) -> None:
        breaks(stages.tts, messages(FIRST))
        mesh, other = stages.mesh(), FakeTts()
        mesh.tts_fallback = direct(other)
        async with conversation(mesh) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            assert stages.tts.segments[0] == FIRST
            assert other.segments == ["and this is the rest.", "Bye now."]
            assert ended.reason == common.END_REASON_COMPLETE
            assert not said.all("notice")
            assert ended.heard_text == ended.text
            assert_continuous(said)

    run(main)


@breaking
@pytest.mark.parametrize("segments", [0, 1])
def test_answer_whose_voices_all_end_early_has_failed(breaks: Break, segments: int) -> None:
    async def main(stages: DirectStages) -> None:
        breaks(stages.tts, segments * messages(FIRST))
        mesh, other = stages.mesh(), FakeTts()
        breaks(other, 0)
        mesh.tts_fallback = direct(other)
        async with conversation(mesh, pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_ERROR
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_STAGE_FAILED, "tts")
            assert ended.heard_text == FIRST * segments
            spoken = len(FIRST) * segments * RATE // 50
            assert spoken <= ended.sample_count < spoken + RATE // 25, "padded to a whole frame"
            _, *answer = (await stages.memory.remembered.get()).items
            assert [item.text for item in answer] == [FIRST] * segments

    run(main)


@breaking
def test_voice_that_ends_within_a_segment_is_apologised_for_by_another(breaks: Break) -> None:
    async def main(stages: DirectStages) -> None:
        breaks(stages.tts, messages(FIRST) + 4)
        mesh, other = stages.mesh(), FakeTts()
        mesh.tts_fallback = direct(other)
        async with conversation(mesh) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_ERROR
            assert other.segments == [notices.apology("en")]
            assert FIRST in ended.heard_text
            assert len(ended.heard_text) < len(f"{FIRST} and this is the rest.")
            assert_continuous(said)

    run(main)


def test_voice_without_anything_to_speak_may_end() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = ["..."]
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_COMPLETE
            assert not said.all("notice")

    run(main)


@breaking
def test_recogniser_that_ends_within_speech_is_told_and_heard_again(breaks: Break) -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr = FakeAsr()
        breaks(stages.asr, 2)  # speech_started and a partial
        stages.asr.break_times = 1
        async with conversation(stages.mesh()) as (session, said):
            microphone = Speaker(session)
            await microphone.say(speech(0.1, 0.5, 0.1))
            await session.end_of_speech()
            notice = await said.until_kind("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "asr")
            await microphone.say(speech(2.0))
            await microphone.say(speech(0.1, 0.5, 1.0))
            assert (await said.until_kind("turn_started")).question == "what can you do"

    run(main)


@breaking
def test_recogniser_that_ends_before_it_was_told_to_is_told(breaks: Break) -> None:
    async def main(stages: DirectStages) -> None:
        breaks(stages.asr, 0)
        stages.asr.break_times = 1
        async with conversation(stages.mesh()) as (session, said):
            microphone = Speaker(session)
            await microphone.say(speech(1.0))
            notice = await said.until_kind("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "asr")
            await microphone.say(speech(2.0))
            await microphone.say(speech(0.1, 0.5, 1.0))
            assert (await said.until_kind("turn_started")).question == "what can you do"

    run(main)


def test_recogniser_may_end_without_a_result_where_nobody_spoke() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh()) as (session, said):
            microphone = Speaker(session)
            await microphone.say(speech(0.5))
            await session.end_of_speech()
            notice = await said.until_kind("notice")
            assert notice.kind == pb.NOTICE_KIND_NOT_UNDERSTOOD

    run(main)


def test_memories_that_cannot_be_decoded_are_missing() -> None:
    async def main(stages: DirectStages) -> None:
        stages.memory.garbage = True
        async with conversation(stages.mesh(), pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "memory")
            assert ended.reason == common.END_REASON_COMPLETE
            assert ended.heard_text == ended.text

    run(main)


@pytest.mark.parametrize("method", ["DescribeEngine", "ListPersonas"])
def test_answer_to_a_question_about_a_stage_that_cannot_be_decoded_is_an_error(method: str) -> None:
    class Garbling(FakeLlm):
        async def DescribeEngine(self, request: Any, context: Any) -> Any:  # noqa: N802
            return GARBAGE

        async def ListPersonas(self, request: Any, context: Any) -> Any:  # noqa: N802
            return GARBAGE

    async def main(stages: DirectStages) -> None:
        with pytest.raises(InternalError, match="llm"):
            await ask(STAGES["llm"], direct(Garbling()), method)

    run(main)
