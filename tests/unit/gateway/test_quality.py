"""Less video when the face is too slow, more when it keeps up."""

from __future__ import annotations

import asyncio

from anima.avatar.v1 import avatar_pb2 as avatar
from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.session.turns.quality import Quality
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, conversation, run

FULL = common.VideoFormat(frame_rate_hz=25, width_px=512, height_px=512)


def test_each_slow_answer_makes_the_video_simpler_and_good_ones_bring_it_back() -> None:
    quality = Quality()
    levels = []
    for late_s in (0.0, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0):
        quality.answered(late_s=late_s)
        levels.append(quality.level)
    full, less, none = (
        pb.VIDEO_LEVEL_FULL,
        pb.VIDEO_LEVEL_REDUCED_RATE,
        pb.VIDEO_LEVEL_IDLE_LOOP,
    )
    assert levels == [full, less, none, none, none, none, less, less, less, full, full]


def test_reduced_rate_lasts_whole_samples() -> None:
    quality = Quality()
    assert quality.video(FULL, sample_rate_hz=24_000) == FULL
    quality.answered(late_s=1.0)
    video = quality.video(FULL, sample_rate_hz=24_000)
    assert video is not None
    assert (video.frame_rate_hz, video.width_px) == (12, 512)
    quality.answered(late_s=1.0)
    assert quality.video(FULL, sample_rate_hz=24_000) is None


def test_slow_face_gets_simpler_from_answer_to_answer_and_the_client_is_told() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG[:5]
        # A message holds 120 ms of audio and takes longer than that.
        stages.avatar.frame_delay_s = 0.13
        async with conversation(stages.mesh()) as (session, said):
            for number in range(1, 4):
                await session.text("Tell me.")
                ended = await said.until_kind("turn_ended", number, timeout_s=60)
                assert ended.reason == common.END_REASON_COMPLETE
            levels = [(q.level, q.frame_rate_hz) for q in said.all("quality")]
            assert levels == [(pb.VIDEO_LEVEL_REDUCED_RATE, 12), (pb.VIDEO_LEVEL_IDLE_LOOP, 0)]
            assert [c.video.frame_rate_hz for c in stages.avatar.configs] == [25, 12]
            last = [m for m in said.all("media") if m.header.turn_id == ended.header.turn_id]
            assert last
            assert not any(media.frames for media in last)
            stages.avatar.frame_delay_s = 0.0
            for number in range(4, 11):
                await session.text("Tell me.")
                await said.until_kind("turn_ended", number, timeout_s=60)
            assert said.all("quality")[-1].level == pb.VIDEO_LEVEL_FULL

    run(main)


def test_face_far_behind_is_given_up_within_the_answer() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG[:4]
        stages.avatar.frame_delay_s = 0.4
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended", timeout_s=60)
            assert ended.reason == common.END_REASON_COMPLETE
            assert said.all("quality")[0].level == pb.VIDEO_LEVEL_IDLE_LOOP
            place = 0
            for media in said.all("media"):
                assert media.audio.start_sample == place
                place += len(media.audio.pcm) // 2
            assert place == ended.sample_count
            # The delay has been made up: the voice is on schedule again.
            took = said.times("turn_ended")[0] - said.times("media")[0]
            assert took < ended.sample_count / 24_000 + 0.1

    run(main)


def test_how_far_behind_the_face_may_fall_is_a_setting() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG[:2]
        stages.avatar.frame_delay_s = 0.4
        async with conversation(stages.mesh(face_late_ms=30_000)) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended", timeout_s=60)
            assert not said.all("degraded")
            frames = sum(len(media.frames) for media in said.all("media"))
            assert frames == ended.sample_count * 25 // 24_000

    run(main)


def test_answer_begins_at_the_idle_frame_that_is_shown_and_says_how_to_go_on() -> None:
    async def main(stages: DirectStages) -> None:
        async with conversation(stages.mesh(), pb.ConverseConfig(ai_mark=True)) as (session, said):
            session.idle(10, avatar.ACTIVITY_LISTENING)
            await asyncio.sleep(2.0)
            await session.text("Hello?")
            ended = await said.until_kind("turn_ended")
            (config,) = stages.avatar.configs
            assert config.activity == avatar.ACTIVITY_LISTENING
            assert config.ai_mark
            # 2 s at 25 frames a second, and a little until the first frame is there.
            assert 60 <= config.idle_frame <= 70
            assert ended.idle_frame == 7

    run(main)


def test_what_the_face_keeps_until_it_knows_what_follows_is_not_late() -> None:
    async def main(stages: DirectStages) -> None:
        # The model pauses for longer than the voice has text to speak.
        stages.llm.answer = ["This is the first clause,", " and this is the rest."]
        stages.llm.interval_s = 3.0
        stages.avatar.kept_ms = 200
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_COMPLETE
            assert not said.all("notice")
            assert all(media.frames for media in said.all("media"))

    run(main)
