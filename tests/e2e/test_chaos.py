"""Stages killed at random moments of many answers: no conversation ends, nothing is lost."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.stages.spec import STAGES
from testing.fakes.mesh import FakeMesh
from tests.unit.gateway.conversing import Transcript, grpc_conversation

SESSIONS = 12
QUESTIONS = 3
KILLS = 12
ANSWER = ["Well, this is the first clause,", *[f" and part {n} of it." for n in range(6)]]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_every_session_survives_and_no_answer_is_lost_silently(seed: int) -> None:
    chance = random.Random(seed)
    async with FakeMesh() as fake:
        fake.llm.answer, fake.llm.interval_s, fake.tts.ms_per_char = ANSWER, 0.02, 6
        async with fake.gateway(capacity=64) as gateway:
            talking = [
                asyncio.create_task(talk(gateway, f"user-{number}")) for number in range(SESSIONS)
            ]
            for _ in range(KILLS):
                await asyncio.sleep(chance.uniform(0.05, 0.4))
                victim = chance.choice(list(STAGES))
                await fake.stop(victim)
                await asyncio.sleep(chance.uniform(0.0, 0.3))
                await fake.start(victim)
            transcripts = await asyncio.gather(*talking)
        for said in transcripts:
            check(said)
        async with asyncio.timeout(90):
            for stage in (fake.llm, fake.tts, fake.avatar):
                while stage.open_streams:
                    await stage.stream_ended.wait()


async def talk(gateway: Any, user_id: str) -> Transcript:
    config = pb.ConverseConfig(user_id=user_id)
    async with grpc_conversation(gateway, config) as (send, said):
        await said.until_kind("session_started")
        for number in range(1, QUESTIONS + 1):
            await send(pb.ConverseRequest(text=pb.TextInput(text=f"Question {number}?")))
            await said.until_kind("turn_ended", number)
    return said


def check(said: Transcript) -> None:
    turns = said.all("turn_ended")
    assert len(turns) == QUESTIONS
    notices = said.all("notice")
    for ended in turns:
        turn_id = ended.header.turn_id
        if ended.reason == common.END_REASON_COMPLETE:
            assert ended.text == "".join(ANSWER)
            assert ended.heard_text == ended.text
        else:
            assert ended.reason == common.END_REASON_ERROR
            assert any(notice.turn_id == turn_id and notice.text for notice in notices)
        place = 0
        for media in said.all("media"):
            if media.header.turn_id == turn_id:
                assert media.audio.start_sample == place
                place += len(media.audio.pcm) // 2
        assert place == ended.sample_count
