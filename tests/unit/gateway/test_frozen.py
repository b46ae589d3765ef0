"""Stages that silently stop responding, in virtual time: detected, replaced, or reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway import notices
from gateway.stages.watchdog import Watch
from testing.fakes.direct import DirectStages, direct
from testing.fakes.recogniser import FakeAsr
from testing.fakes.stages import FakeLlm, FakeTts
from testing.virtual_time import VirtualTimeLoop, in_virtual_time
from tests.unit.gateway.conversing import LONG, Transcript, conversation, now, run
from tests.unit.gateway.speaking import Speaker, speech

FOR_EVER_S = 3600.0


@dataclass(kw_only=True)
class FreezingTts(FakeTts):
    """Stops before anything of one clause, or after its first chunks."""

    freeze_at_segment: int = 3
    after_responses: int = 0

    async def _speak(self, config: Any, segment: Any, made: int) -> AsyncIterator[Any]:
        left = self.after_responses
        async for response in super()._speak(config, segment, made):
            if segment.segment == self.freeze_at_segment and left == 0:
                await asyncio.sleep(FOR_EVER_S)
            left -= 1
            yield response


@dataclass(kw_only=True)
class FreezingAsr(FakeAsr):
    """Never sends its first result."""

    frozen: bool = True

    async def _finish(self, heard: Any, context: Any) -> None:
        if self.frozen:
            self.frozen = False
            await asyncio.sleep(FOR_EVER_S)
        await super()._finish(heard, context)


def assert_whole(said: Transcript) -> None:
    (ended,) = said.all("turn_ended")
    assert ended.reason == common.END_REASON_COMPLETE
    assert ended.heard_text == ended.text
    assert_continuous(said)


def assert_continuous(said: Transcript) -> None:
    (ended,) = said.all("turn_ended")
    place = 0
    for media in said.all("media"):
        assert media.audio.start_sample == place
        place += len(media.audio.pcm) // 2
    assert place == ended.sample_count


def test_voice_that_freezes_between_clauses_is_replaced() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.tts = LONG[:6], FreezingTts()
        mesh, other = stages.mesh(), FakeTts()
        mesh.tts_fallback = direct(other)
        async with conversation(mesh) as (session, said):
            await session.text("Tell me.")
            await said.until_kind("turn_ended", timeout_s=60)
            assert other.segments[0] == LONG[2].strip(), said.problem()
            assert not said.all("notice")
            numbers = [segment.header.segment for segment in said.all("segment_started")]
            assert numbers == list(range(1, len(numbers) + 1))
            assert stages.tts.segments[:2] + other.segments == [t.strip() for t in LONG[:6]]
            assert_whole(said)
            times = said.times("media")
            assert max(b - a for a, b in pairwise(times)) < 3.8

    run(main)


def test_voice_that_freezes_within_a_clause_is_told_within_seconds() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.tts = LONG, FreezingTts(after_responses=4)
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended", timeout_s=60)
            assert ended.reason == common.END_REASON_ERROR
            notice = said.all("notice")[0]
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_STAGE_FAILED, "tts")
            assert said.times("notice")[0] - said.times("media")[-1] < 3.8
            assert 0 < len(ended.heard_text) < len(ended.text)

    run(main)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_voice_that_freezes_within_a_clause_is_apologised_for_by_another(language: str) -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer, stages.tts = LONG, FreezingTts(after_responses=8)
        mesh, other = stages.mesh(), FakeTts()
        mesh.tts_fallback = direct(other)
        config = pb.ConverseConfig(language=language)
        async with conversation(mesh, config) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended", timeout_s=60)
            assert ended.reason == common.END_REASON_ERROR
            assert other.segments == [notices.apology(language)]
            assert said.all("segment_started")[-1].text == notices.apology(language)
            assert_continuous(said)
            # The third clause was cut off: the heard part of the answer ends in it.
            assert ended.heard_text.startswith("".join(LONG[:2]))
            assert len(ended.heard_text) < len("".join(LONG[:3]))
            assert not other.open_streams

    run(main)


def test_voice_that_waits_for_text_is_not_taken_for_frozen() -> None:
    async def main(stages: DirectStages) -> None:
        thinking = asyncio.Event()
        stages.llm.answer = ["One moment, please.", thinking, " Here it is."]
        async with conversation(stages.mesh(llm_silence_timeout_ms=60_000)) as (session, said):
            await session.text("Tell me.")
            await asyncio.sleep(30)
            thinking.set()
            await said.until_kind("turn_ended")
            assert not said.all("notice")
            assert_whole(said)

    run(main)


def test_face_that_freezes_goes_on_in_another_stream() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG[:8]
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            await said.until_kind("media", 20)
            stages.avatar.frame_delay_s = FOR_EVER_S
            frozen_at = now()
            async with asyncio.timeout(5):
                await stages.avatar.stream_ended.wait()
            assert 2 <= now() - frozen_at < 3
            stages.avatar.frame_delay_s = 0
            await said.until_kind("turn_ended", timeout_s=60)
            assert len(stages.avatar.configs) == 2
            assert_whole(said)
            frames = [frame.frame_number for m in said.all("media") for frame in m.frames]
            assert frames == list(range(1, len(frames) + 1))

    run(main)


def test_face_that_stays_frozen_leaves_the_voice() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG[:8]
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            await said.until_kind("media", 20)
            stages.avatar.frame_delay_s = FOR_EVER_S
            await said.until_kind("turn_ended", timeout_s=60)
            assert said.all("notice")[0].stage == "avatar"
            assert not said.all("media")[-1].frames
            assert_whole(said)
            times = said.times("media")
            assert max(b - a for a, b in pairwise(times)) < 5

    run(main)


def test_model_that_freezes_before_a_word_is_replaced() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = [asyncio.Event()]
        mesh = stages.mesh()
        mesh.llm_fallback = direct(FakeLlm(answer=["The other one answers."]))
        async with conversation(mesh) as (session, said):
            await session.text("Tell me.")
            ended = await said.until_kind("turn_ended")
            assert ended.text == "The other one answers."
            assert said.times("media")[0] < 10
            assert_whole(said)

    run(main)


def test_recogniser_that_freezes_at_the_end_of_speech_is_told_and_heard_again() -> None:
    async def main(stages: DirectStages) -> None:
        stages.asr = FreezingAsr()
        async with conversation(stages.mesh()) as (session, said):
            microphone = Speaker(session)
            await microphone.say(speech(0.1, 0.5, 0.1))
            await session.end_of_speech()
            ended_at = now()
            notice = await said.until_kind("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "asr")
            assert 5 <= now() - ended_at < 7
            await microphone.say(speech(2.0))
            await microphone.say(speech(0.1, 0.5, 1.0))
            assert (await said.until_kind("turn_started")).question == "what can you do"

    run(main)


def test_stall_of_the_loop_itself_is_nobodys_silence() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        silent: list[float] = []
        watch = Watch(silence_s=3, owes=lambda: True, on_silence=lambda: silent.append(now()))
        await asyncio.sleep(2)
        loop.stall(10)
        await asyncio.sleep(2.5)
        assert not silent
        await asyncio.sleep(1.5)
        (at,) = silent
        assert 15 <= at <= 16
        watch.close()

    in_virtual_time(main)
