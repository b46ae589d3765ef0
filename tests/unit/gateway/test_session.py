"""Opening and closing a session."""

from __future__ import annotations

import asyncio

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway.session.session import Session
from services.runtime.errors import Busy, InvalidRequest, NotFound
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import LONG, conversation, run


@pytest.mark.parametrize(
    ("config", "error", "text"),
    [
        (pb.ConverseConfig(session_id="a b"), InvalidRequest, "config.session_id"),
        (pb.ConverseConfig(user_id="u" * 129), InvalidRequest, "config.user_id"),
        (pb.ConverseConfig(language="?!"), InvalidRequest, "config.language"),
        (pb.ConverseConfig(input_sample_rate_hz=11), InvalidRequest, "input_sample_rate_hz"),
        (pb.ConverseConfig(text_only=True, audio_only=True), InvalidRequest, "config.audio_only"),
        (pb.ConverseConfig(pacing=7), InvalidRequest, "config.pacing"),  # type: ignore[arg-type]
        (pb.ConverseConfig(video=common.VideoFormat(width_px=3)), InvalidRequest, "width_px"),
        (pb.ConverseConfig(persona="nobody"), NotFound, "there are: ani"),
        (pb.ConverseConfig(voice="nobody"), NotFound, "amy"),
        (pb.ConverseConfig(avatar="nobody"), NotFound, "ani"),
    ],
)
def test_wrong_config_is_refused(
    config: pb.ConverseConfig, error: type[Exception], text: str
) -> None:
    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh()
        with pytest.raises(error, match=text):
            async with Session.open(mesh, config):
                pytest.fail("the session was opened")
        assert mesh.places.active == 0

    run(main)


def test_places_are_counted_and_freed() -> None:
    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh(capacity=1)
        async with Session.open(mesh, pb.ConverseConfig()):
            with pytest.raises(Busy, match="1 places"):
                async with Session.open(mesh, pb.ConverseConfig()):
                    pytest.fail("the session was opened")
        async with Session.open(mesh, pb.ConverseConfig()):
            pass

    run(main)


def test_nothing_is_left_running() -> None:
    async def main(stages: DirectStages) -> None:
        stages.llm.answer = LONG
        async with conversation(stages.mesh()) as (session, said):
            await session.text("Tell me.")
            await said.until_kind("media", 2)
            await session.text("And this?")
            await said.until_kind("media", 4)
        await asyncio.sleep(1)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert [task.get_name() for task in left] == []

    run(main)
