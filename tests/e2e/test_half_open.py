"""Peers that vanish without closing: their resources are freed within a configured time."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

import anima.common.v1 as common
import anima.gateway.v1 as pb
from services.runtime.calls.channels import open_channel
from services.runtime.errors import Busy, error_from_rpc
from testing.fakes.mesh import FakeMesh
from tests.silent_proxy import silent_proxy
from tests.unit.gateway.conversing import conversation, grpc_conversation

PEER_TIMEOUT_S = 2.0


async def test_client_that_vanishes_stops_the_stages_and_frees_its_place() -> None:
    async with FakeMesh() as fake:
        fake.llm.answer = [f" This is sentence number {number}." for number in range(200)]
        async with (
            fake.gateway(capacity=1, peer_timeout_s=PEER_TIMEOUT_S) as gateway,
            silent_proxy(gateway.address) as proxy,
            open_channel(proxy.address) as channel,
            grpc_conversation(pb.GatewayServiceStub(channel)) as (send, said),
        ):
            await send(pb.ConverseRequest(text=pb.TextInput(text="Hello?")))
            await said.until_kind("media", 2)
            assert not await finds_a_place(gateway)
            proxy.fall_silent()
            async with asyncio.timeout(90):
                for stage in (fake.llm, fake.tts, fake.avatar):
                    while stage.open_streams:
                        await stage.stream_ended.wait()
                while not await finds_a_place(gateway):
                    pass  # the place is given back a few ms after the streams


async def finds_a_place(gateway: Any) -> bool:
    call = gateway.Converse(iter([pb.ConverseRequest(config=pb.ConverseConfig())]))
    try:
        started = await call.read()
    except grpc.aio.AioRpcError as error:
        if isinstance(error_from_rpc(error), Busy):
            return False
        raise
    call.cancel()
    return bool(started.HasField("session_started"))


async def test_stage_that_vanishes_is_told_and_found_again() -> None:
    async with FakeMesh() as fake, silent_proxy(fake.addresses["tts"]) as proxy:
        fake.llm.answer = ["This is the first clause,", " and this is the rest." * 40]
        fake.tts.chunk_delay_s = 0.05
        fake.addresses["tts"] = proxy.address
        async with (
            fake.mesh(stage_peer_timeout_s=PEER_TIMEOUT_S) as mesh,
            conversation(mesh) as (session, said),
        ):
            await session.text("First?")
            await said.until_kind("media", 4)
            proxy.fall_silent()
            ended = await said.until_kind("turn_ended")
            assert ended.reason == common.END_REASON_ERROR
            assert said.all("notice")[-1].stage == "tts"
            fake.llm.answer = ["All is well again, thank you."]
            await session.text("Second?")
            ended = await said.until_kind("turn_ended", 2)
            assert ended.reason == common.END_REASON_COMPLETE, said.problem()
