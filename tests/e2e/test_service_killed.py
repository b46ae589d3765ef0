"""Any service killed during an answer: the session goes on, and the person is notified."""

from __future__ import annotations

import psutil
import pytest

from anima.common import v1 as common
from anima.gateway import v1 as gateway
from tests.e2e.conversation import conversation
from tests.mesh_process import MeshProcess

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

QUESTION = "What is Anima?"


def kill(mesh: MeshProcess, module: str) -> None:
    children = psutil.Process(mesh.process.pid).children()
    victims = [child for child in children if child.cmdline()[-1] == module]
    assert len(victims) == 1
    victims[0].kill()


@pytest.mark.parametrize(
    ("stage", "module"),
    [("llm", "services.llm"), ("tts", "services.tts"), ("avatar", "services.avatar")],
)
async def test_a_stage_of_the_answer(slow_mesh: MeshProcess, stage: str, module: str) -> None:
    config = gateway.ConverseConfig(pacing=gateway.PACING_AS_MADE)
    async with conversation(slow_mesh.gateway_address, config) as session:
        await session.ask(QUESTION)
        await session.until_kind("media")
        kill(slow_mesh, module)
        ended = (await session.until_kind("turn_ended")).turn_ended
        notices = [e.notice for e in session.events if e.WhichOneof("event") == "notice"]
        # On a busy machine the face may also be too slow.
        assert {notice.stage for notice in notices} <= {stage, "avatar"}
        # It is complete, spoken by the next process, or the person is notified; never lost
        # silently.
        if ended.reason == common.END_REASON_COMPLETE:
            assert ended.heard_text == ended.text
        else:
            assert ended.reason == common.END_REASON_ERROR
            assert any(notice.stage == stage and notice.text for notice in notices)

        slow_mesh.wait_for(rf"{stage} +restarting")
        # the next question is answered at once: by the new process, or without a face
        events = await session.turn("Who are you?")
        assert events[-1].turn_ended.reason == common.END_REASON_COMPLETE
        slow_mesh.wait_for(rf"{stage} +ready", occurrence=2)
        # After two late answers, on a busy machine, a session leaves the face out of the next ones.
        while not any(event.media.frames for event in await session.turn("Who are you?")):
            pass


async def test_the_memory(slow_mesh: MeshProcess) -> None:
    config = gateway.ConverseConfig(user_id="killed-memory")
    async with conversation(slow_mesh.gateway_address, config) as session:
        await session.ask(QUESTION)
        await session.until_kind("media")
        kill(slow_mesh, "memory")
        assert (
            await session.until_kind("turn_ended")
        ).turn_ended.reason == common.END_REASON_COMPLETE
        events = await session.turn("Who are you?")
        assert events[-1].turn_ended.reason == common.END_REASON_COMPLETE


async def test_a_killed_service_comes_back_ready(slow_mesh: MeshProcess) -> None:
    kill(slow_mesh, "services.asr")
    slow_mesh.wait_for(r"asr +restarting")
    slow_mesh.wait_for(r"asr +ready", occurrence=2)
