"""A gateway that receives a stop: open conversations are notified and finish their answer."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

import anima.gateway.v1 as pb
from anima.common import v1 as common
from gateway.grpc.servicer import build, stage_of
from gateway.stages.mesh import Mesh
from services.runtime.calls.channels import open_channel
from services.runtime.server import serving
from testing.fakes.mesh import FakeMesh
from tests.unit.gateway.conversing import grpc_conversation
from tests.unit.web.clients import serving_page


async def test_an_answer_under_way_is_finished_and_the_person_is_told() -> None:
    async with FakeMesh() as fake:
        settings = fake.settings()
        more = asyncio.Event()
        fake.llm.answer = ["Well, this comes first,", more, " and this comes after the signal."]
        async with serving(build(settings), settings) as server:
            await server.ready
            async with open_channel(server.address) as channel:
                stub = pb.GatewayServiceStub(channel)
                async with grpc_conversation(stub) as (send, said):
                    await send(pb.ConverseRequest(text=pb.TextInput(text="Tell me.")))
                    await said.until_kind("media")
                    draining = asyncio.create_task(server.drain())
                    notice = await said.until_kind("notice")
                    assert notice.kind == pb.NOTICE_KIND_GOING_AWAY
                    assert notice.text
                    more.set()
                    ended = await said.until_kind("turn_ended")
                    assert ended.reason == common.END_REASON_COMPLETE
                    assert ended.text.endswith("after the signal.")
                    await asyncio.wait_for(draining, 90)


async def test_an_idle_conversation_does_not_hold_the_drain() -> None:
    async with FakeMesh() as fake:
        settings = fake.settings(drain_timeout_s=3600)
        async with serving(build(settings), settings) as server:
            await server.ready
            async with open_channel(server.address) as channel:
                stub: Any = pb.GatewayServiceStub(channel)
                call = stub.Converse()
                await call.write(pb.ConverseRequest(config=pb.ConverseConfig()))
                await call.read()
                await asyncio.wait_for(server.drain(), 90)
                assert (await call.read()).notice.kind == pb.NOTICE_KIND_GOING_AWAY
                assert await call.read() is grpc.aio.EOF
                assert await call.code() is grpc.StatusCode.OK


async def test_an_answer_over_the_websocket_holds_the_drain_and_a_later_question_is_refused() -> (
    None
):
    async with FakeMesh() as fake:
        settings = fake.settings(drain_timeout_s=3600)
        more = asyncio.Event()
        fake.llm.answer = ["Well, this comes first,", more, " and this comes after the signal."]
        mesh = Mesh(settings)
        async with serving(stage_of(mesh), settings) as server:
            await server.ready
            async with serving_page(mesh) as page, page.client() as client:
                await client.configure(media="pcm")
                await client.ask("Tell me.")
                await client.until("response.output_audio.delta")
                draining = asyncio.create_task(server.drain())
                notice = await client.until("anima.notice")
                assert notice["kind"] == "going_away"
                done, _ = await asyncio.wait([draining], timeout=1)
                assert not done
                more.set()
                ended = await client.until("response.done")
                assert ended["response"]["status"] == "completed"
                await asyncio.wait_for(draining, 90)
                await client.ask("And this?")
                refusal = await client.until("error")
                assert refusal["error"]["code"] == "going_away"
        assert [config.question for config in fake.llm.configs] == ["Tell me."]
