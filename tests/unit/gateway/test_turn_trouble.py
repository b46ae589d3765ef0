"""Stages that are slow, full or gone while an answer is made."""

from __future__ import annotations

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from services.runtime.errors import Busy, Unavailable
from tests.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, RATE, conversation, run


def test_slow_memory_degrades_and_the_answer_goes_on() -> None:
    async def main(stages: DirectStages) -> None:
        stages.memory.delay_s = 60
        async with conversation(stages.mesh(), pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("Hello?")
            notice = await said.until_kind("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "memory")
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_COMPLETE
            assert said.times("media")[0] < 0.6

    run(main)


def test_face_that_fails_before_any_picture_leaves_the_voice() -> None:
    async def main(stages: DirectStages) -> None:
        stages.avatar.fail_with = Unavailable("no picture")
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "avatar")
            assert ended.reason == common.END_REASON_COMPLETE
            place = 0
            for media in said.all("media"):
                assert media.audio.start_sample == place
                place += len(media.audio.pcm) // 2
            assert place == len(ended.text.replace(". ", ".").replace(", ", ",")) * RATE // 50

    run(main)


def test_face_that_fails_later_ends_the_answer_with_what_was_made() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        stages.avatar.fail_with, stages.avatar.fail_after_media = Unavailable("gone"), 5
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended")
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_STAGE_FAILED, "avatar")
            assert ended.reason == common.END_REASON_ERROR
            assert len(said.all("media")) == 5
            assert ended.heard_text
            assert ended.text.startswith(ended.heard_text)

    run(main)


def test_voice_that_fails_ends_the_answer_and_the_next_question_works() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        stages.tts.fail_with, stages.tts.fail_after_chunks = Unavailable("gone"), 3
        config = pb.ConverseConfig(language="zh")
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text("说说看。")
            ended = await said.until_kind("turn_ended")
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_STAGE_FAILED, "tts")
            assert "声音" in notice.text
            assert notice.turn_id == ended.header.turn_id
            assert ended.reason == common.END_REASON_ERROR
            assert ended.sample_count > 0
            stages.tts.fail_with = None
            stages.llm.answer = ("好的，没问题。",)
            await session.text("再来一次。")
            assert (await said.until_kind("turn_ended", 2)).reason == common.END_REASON_COMPLETE

    run(main)


def test_silent_model_is_given_up() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.stuck = True
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended", timeout_s=100)
            assert said.all("notice")[0].stage == "llm"
            assert ended.reason == common.END_REASON_ERROR
            assert ended.text == "This is the first clause, and this is the rest. Bye now."
            assert ended.heard_text == ended.text, "what was written is still spoken"

    run(main)


def test_busy_voice_is_told() -> None:
    async def main(stages: DirectStages) -> None:
        stages.tts.refuse = Busy("all 1 places are taken")
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            assert said.all("notice")[0].stage == "tts"
            assert ended.reason == common.END_REASON_ERROR

    run(main)
