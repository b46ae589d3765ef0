"""Stages that are slow, full or lost while an answer is made."""

from __future__ import annotations

import asyncio

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.session.session import Session
from services.runtime.errors import DISK_FULL_REASON, Busy, Unavailable
from testing.fakes.direct import DirectStages, direct
from testing.fakes.stages import FakeLlm, FakeTts
from tests.unit.gateway.conversing import LONG, RATE, Transcript, conversation, run


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


def test_a_person_is_told_while_the_memory_has_no_room() -> None:
    async def main(stages: DirectStages) -> None:
        full = Busy("the disk is full", retry_after_ms=10_000, reason=DISK_FULL_REASON)
        stages.memory.refuse_remember = full
        mesh = stages.mesh()
        async with conversation(mesh, pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("First?")
            await said.until_kind("turn_ended")
            assert not said.all("notice")
            await asyncio.sleep(60)
            await session.text("Second?")
            notice = await said.until_kind("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "memory")
            assert notice.text.startswith("I cannot remember anything new")
            stages.memory.refuse_remember = None
            for _ in range(2):
                await stages.memory.remembered.get()
            assert not mesh.remember_queue.is_memory_full
        await mesh.remember_queue.close(timeout_s=1)

    run(main)


@pytest.mark.parametrize(
    ("question", "chosen", "begins"),
    [
        ("Hello?", "", "I cannot show my face"),
        ("你能做什么？", "", "暂时无法显示我的画面"),
        ("Hello?", "zh", "暂时无法显示我的画面"),
        ("你能做什么？", "en", "I cannot show my face"),
        ("何ができますか？", "", "I cannot show my face"),
        ("What does 你好 mean?", "", "I cannot show my face"),
    ],
)
def test_trouble_is_told_in_the_language_of_the_question(
    question: str, chosen: str, begins: str
) -> None:
    async def main(stages: DirectStages) -> None:
        stages.avatar.fail_with = Unavailable("no picture")
        config = pb.ConverseConfig(language=chosen)
        async with conversation(stages.mesh(), config) as (session, said):
            await session.text(question)
            assert (await said.until_kind("notice")).text.startswith(begins)

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


def test_face_that_fails_later_is_tried_again_and_then_the_voice_goes_on() -> None:
    async def main(stages: DirectStages) -> None:
        stages.avatar.fail_with, stages.avatar.fail_after_media = Unavailable("gone"), 2
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_COMPLETE
            assert ended.heard_text == ended.text
            assert len(stages.avatar.configs) == 2
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "avatar")
            (quality,) = said.all("quality")
            assert quality.level == pb.VIDEO_LEVEL_IDLE_LOOP
            assert_continuous(said)
            assert not said.all("media")[-1].frames

    run(main)


def test_face_that_fails_once_goes_on_in_another_stream() -> None:
    async def main(stages: DirectStages) -> None:
        stages.avatar.fail_with, stages.avatar.fail_after_media = Unavailable("gone"), 5
        stages.avatar.fail_times = 1
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_COMPLETE
            assert not said.all("notice")
            assert len(stages.avatar.configs) == 2
            assert_continuous(said)
            frames = [frame for media in said.all("media") for frame in media.frames]
            assert [frame.frame_number for frame in frames] == list(range(1, len(frames) + 1))
            step = frames[1].start_sample
            assert [frame.start_sample for frame in frames] == [
                n * step for n in range(len(frames))
            ]
            assert len(frames) * step == ended.sample_count
            assert [f.key_frame for f in frames].count(True) == 2, "each stream begins with one"

    run(main)


def assert_continuous(said: Transcript) -> None:
    place = 0
    for media in said.all("media"):
        assert media.audio.start_sample == place
        place += len(media.audio.pcm) // 2
    assert place == said.all("turn_ended")[-1].sample_count


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
            assert ended.text == (
                "This is the first clause, and this is the rest. Bye now. I am sorry, "
                "something in me has failed, so I cannot finish this answer."
            )
            assert ended.heard_text == ended.text, "what was written is still spoken"
            assert not said.all("quality"), "the pause of the model is no fault of the face"

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


def test_model_that_fails_at_once_is_asked_again_or_another_one() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.refuse = Unavailable("gone")
        other = FakeLlm(answer=["The other one answers."])
        mesh = stages.mesh()
        mesh.llm_fallback = direct(other)
        async with conversation(mesh) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            assert (ended.reason, ended.text) == (
                common.END_REASON_COMPLETE,
                "The other one answers.",
            )
            assert not said.all("notice")

    run(main)


def test_model_that_is_gone_is_apologised_for_aloud() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.refuse = Unavailable("gone")
        async with conversation(stages.mesh(), pb.ConverseConfig(language="zh")) as (session, said):
            await session.text("你好")
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_ERROR
            assert said.all("notice")[0].stage == "llm"
            assert ended.text.startswith("抱歉")
            assert ended.sample_count > 0

    run(main)


def test_segment_of_which_nothing_was_heard_is_spoken_by_another_voice() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG[:4]
        stages.tts.end_after_segments = 2
        other = FakeTts()
        mesh = stages.mesh()
        mesh.tts_fallback = direct(other)
        async with conversation(mesh) as (session, said):
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_COMPLETE
            assert not said.all("notice")
            assert ended.heard_text == ended.text
            spoken = [segment.text for segment in said.all("segment_started")]
            assert stages.tts.segments[:2] + other.segments == spoken
            assert_continuous(said)
            words = [word for marks in said.all("marks") for word in marks.words]
            starts = [word.samples.start_sample for word in words]
            assert starts == sorted(starts)
            assert "".join(word.text for word in words) == ended.text.replace(" ", "")

    run(main)


def test_full_stage_is_waited_for_and_those_who_come_later_are_refused() -> None:
    async def main(stages: DirectStages) -> None:
        stages.tts.refuse = Busy("all 1 places are taken", retry_after_ms=300)
        mesh = stages.mesh()
        async with conversation(mesh) as (session, said):
            await session.text("Hello?")
            await asyncio.sleep(0.1)
            assert stages.tts.refused
            with pytest.raises(Busy, match="tts is full") as refusal:
                async with Session.open(mesh, pb.ConverseConfig()):
                    pytest.fail("the session was opened")
            assert 0 < (refusal.value.retry_after_ms or 0) <= 300
            async with Session.open(mesh, pb.ConverseConfig(text_only=True)):
                pass
            stages.tts.refuse = None
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_COMPLETE
            assert not said.all("notice")
        async with Session.open(mesh, pb.ConverseConfig()):
            pass

    run(main)
