"""Any stage may be lost during an answer: the person is notified, and the next answer works."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

import anima.common.v1 as common
import anima.gateway.v1 as pb
import anima.llm.v1 as llm
from gateway.session.session import Session
from testing.fakes.mesh import FakeMesh
from tests.unit.gateway.conversing import conversation

LONG = ["Well, this is the first clause,", *[f" and this is part {n} of it." for n in range(80)]]
SHORT = ["All is well again, thank you."]
RATE = 16_000


@pytest.mark.parametrize("stage", ["llm", "tts", "avatar"])
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_stage_that_dies_in_an_answer(stage: str, language: str) -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:
        fake.llm.answer, fake.llm.interval_s = LONG, 0.02
        fake.tts.ms_per_char = 8
        async with conversation(mesh, pb.ConverseConfig(language=language)) as (session, said):
            await session.text("First?")
            await said.until_kind("media", 4)
            await fake.stop(stage)
            notice = await said.until_kind("notice")
            assert any("一" <= c <= "鿿" for c in notice.text) == (language == "zh")
            if stage == "avatar":
                # The voice goes on, and the client is notified that no video follows.
                assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, stage)
                assert (await said.until_kind("quality")).level == pb.VIDEO_LEVEL_IDLE_LOOP
                await said.until(lambda: not said.all("media")[-1].frames)
                await session.stop()
            else:
                assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_STAGE_FAILED, stage)
            ended = await said.until_kind("turn_ended")
            interrupted = stage == "avatar"
            assert ended.reason == (
                common.END_REASON_INTERRUPTED if interrupted else common.END_REASON_ERROR
            )
            assert ended.text.startswith("Well, this is the first clause,")
            await fake.start(stage)
            fake.llm.answer = SHORT
            await session.text("Second?")
            ended = await said.until_kind("turn_ended", 2)
            assert ended.reason == common.END_REASON_COMPLETE, said.problem()
            assert ended.text == SHORT[0]


async def test_memory_that_is_away_degrades() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:
        await fake.stop("memory")
        async with conversation(mesh, pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("First?")
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_COMPLETE
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "memory")
            await fake.start("memory")
            # The turn is kept and stored once the memory is back.
            remembered = await asyncio.wait_for(fake.memory.remembered.get(), 90)
            assert remembered.items[0].text == "First?"


async def test_avatar_that_is_away_leaves_the_voice() -> None:
    async with FakeMesh() as fake, fake.mesh(avatar_open_timeout_ms=300) as mesh:
        await mesh.catalogue.read()
        await fake.stop("avatar")
        async with conversation(mesh) as (session, said):
            await session.text("First?")
            ended = await said.until_kind("turn_ended")
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "avatar")
            assert ended.reason == common.END_REASON_COMPLETE
            assert said.all("media")
            await fake.start("avatar")
            frames = 0
            for number in range(2, 12):
                await session.text("Again?")
                await said.until_kind("turn_ended", number)
                frames = sum(len(media.frames) for media in said.all("media"))
                if frames:
                    break
            assert frames


async def test_stage_that_is_away_at_the_question_is_waited_for() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh, conversation(mesh) as (session, said):
        await session.text("First?")
        await said.until_kind("turn_ended")
        await fake.stop("tts")
        await session.text("Second?")
        await said.until_kind("text_delta", 4)
        await fake.start("tts")
        ended = await said.until_kind("turn_ended", 2)
        assert ended.reason == common.END_REASON_COMPLETE


async def test_recogniser_that_dies_while_listening() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh, conversation(mesh) as (session, said):
        microphone = _Microphone(session)
        await microphone.say(0.2, loud=False)
        await microphone.say(0.5, loud=True)
        await said.until_kind("speech_started")
        await fake.stop("asr")
        notice = await said.until_kind("notice")
        assert (notice.kind, notice.stage) == (pb.NOTICE_KIND_DEGRADED, "asr")
        await session.text("Typed?")
        await said.until_kind("turn_ended")
        await fake.start("asr")
        # Speech is kept while the gateway reconnects to the recogniser.
        await microphone.say(0.2, loud=False)
        await microphone.say(0.4, loud=True)
        await microphone.say(0.6, loud=False)
        assert (await said.until_kind("turn_started", 2)).question == "what can you do"


async def test_model_that_was_never_there_is_unavailable() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:
        await fake.stop("llm")
        with pytest.raises(Exception, match="language model"):
            async with Session.open(mesh, pb.ConverseConfig()):
                pytest.fail("the session was opened")
        await fake.start("llm")
        await mesh.llm.ListPersonas(llm.ListPersonasRequest(), wait_for_ready=True, timeout=5)
        async with conversation(mesh) as (session, said):
            await session.text("Hello?")
            await said.until_kind("turn_ended")


class _Microphone:
    """Sends audio faster than real time."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._sample = 0

    async def say(self, seconds: float, *, loud: bool) -> None:
        pcm = np.full(round(seconds * RATE), 8000 if loud else 0, "<i2").tobytes()
        chunk = common.AudioChunk(start_sample=self._sample, sample_rate_hz=RATE, pcm=pcm)
        await self._session.audio(chunk)
        self._sample += len(pcm) // 2
