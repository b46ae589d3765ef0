"""Processes that are frozen by SIGSTOP during an answer, and resumed later."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import psutil
import pytest

from anima.common import v1 as common
from anima.gateway import v1 as gateway
from testing.fakes.mesh import FakeMesh
from tests.e2e.conversation import Conversation, conversation
from tests.mesh_process import MeshProcess
from tests.service_process import ServiceProcess, gateway_process, service_process

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

QUESTION = "What is Anima?"


@pytest.mark.parametrize(
    ("stage", "module"),
    [
        ("llm", "services.llm"),
        ("tts", "services.tts"),
        ("avatar", "services.avatar"),
    ],
)
async def test_frozen_stage_is_noticed_and_used_again(
    slow_mesh: MeshProcess, stage: str, module: str
) -> None:
    children = psutil.Process(slow_mesh.process.pid).children()
    (victim,) = (child for child in children if child.cmdline()[-1] == module)
    config = gateway.ConverseConfig(user_id="frozen", pacing=gateway.PACING_AS_MADE)
    async with conversation(slow_mesh.gateway_address, config) as session:
        await session.ask(QUESTION)
        await session.until_kind("media")
        victim.send_signal(signal.SIGSTOP)
        try:
            ended = (await session.until_kind("turn_ended")).turn_ended
            if stage != "avatar":
                assert ended.reason == common.END_REASON_ERROR
            check_told(session, stage)
        finally:
            victim.send_signal(signal.SIGCONT)
        await answers_with_pictures(session)


def check_told(session: Conversation, stage: str) -> None:
    notices = [e.notice for e in session.events if e.WhichOneof("event") == "notice"]
    # On a busy machine the face may also be too slow.
    assert stage in {notice.stage for notice in notices if notice.text}


async def answers_with_pictures(session: Conversation) -> None:
    """Asks until an answer is complete again; no more media of an older turn arrives."""
    async with asyncio.timeout(90):
        while True:
            events = await session.turn("Who are you?")
            media = [event.media for event in events if event.HasField("media")]
            ended = events[-1].turn_ended
            assert {each.header.turn_id for each in media} <= {ended.header.turn_id}
            place = 0
            for each in media:
                assert each.audio.start_sample == place
                place += len(each.audio.pcm) // 2
            if ended.reason == common.END_REASON_COMPLETE and any(each.frames for each in media):
                return


async def test_clause_is_spoken_by_another_replica() -> None:
    go_on = asyncio.Event()
    async with FakeMesh() as fake, replicas() as voices:
        fake.llm.answer = ["This is the first clause,", go_on, " and this is the last one."]
        addresses = ",".join(voice.address for voice in voices)
        stages = fake.addresses | {"tts": f"ipv4:{addresses}"}
        async with (
            gateway_process(stages) as served,
            conversation(served.address, gateway.ConverseConfig(voice="slt")) as session,
        ):
            await session.ask("Hello?")
            await session.until_kind("media")
            (speaking,) = [voice for voice in voices if await streams_of(voice)]
            speaking.process.send_signal(signal.SIGSTOP)
            try:
                go_on.set()
                ended = (await session.until_kind("turn_ended")).turn_ended
            finally:
                speaking.process.send_signal(signal.SIGCONT)
            assert ended.reason == common.END_REASON_COMPLETE
            assert ended.heard_text == ended.text
            assert not [event for event in session.events if event.HasField("notice")]


@asynccontextmanager
async def replicas() -> AsyncIterator[list[ServiceProcess]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                service_process("services.tts", metrics_listen="127.0.0.1:0")
            )
            for _ in range(2)
        ]


async def streams_of(service: ServiceProcess) -> int:
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"http://{service.metrics}/metrics")).text
    active = [line for line in text.splitlines() if line.startswith("anima_active_streams{")]
    return round(sum(float(line.rpartition(" ")[2]) for line in active))
