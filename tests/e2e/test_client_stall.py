"""A client that does not read: its conversation is ended, and memory does not grow."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

import anima.gateway.v1 as pb
from testing.fakes.mesh import FakeMesh
from tests.service_process import gateway_process, stub_of
from tests.unit.gateway.conversing import grpc_conversation

pytestmark = pytest.mark.process

# An hour of audio, 190 MB, and ten times that with its video.
LONG = [f" This is sentence number {number} of a very long answer." for number in range(400)]
STALL_S = 1.5
# What the gateway may hold for a client: 64 events of 200 ms, what lies in its queues and in those
# of gRPC, and what its allocator keeps. Measured: 9 MB, and 60 without a bound at the face.
HELD_BYTES = 24 << 20


@pytest.mark.parametrize("face", [True, False])
async def test_client_that_does_not_read_is_evicted_and_the_others_talk_on(face: bool) -> None:
    async with FakeMesh() as fake:
        fake.llm.answers = {"Long?": LONG}
        fake.tts.ms_per_char = 60
        async with (
            gateway_process(fake.addresses, client_stall_timeout_s=STALL_S) as gateway,
            stub_of(gateway) as stub,
            # Makes the client's own window full at once.
            grpc.aio.insecure_channel(
                gateway.address, options=[("grpc.http2.lookahead_bytes", 1024)]
            ) as channel,
        ):
            await talk(stub)  # Data that every process loads once is not counted.
            stalling: Any = pb.GatewayServiceStub(channel)
            call = stalling.Converse()
            config = pb.ConverseConfig(pacing=pb.PACING_AS_MADE, audio_only=not face)
            await call.write(pb.ConverseRequest(config=config))
            await call.read()
            before = gateway.resident_bytes()
            await call.write(pb.ConverseRequest(text=pb.TextInput(text="Long?")))
            await talk(stub)
            async with asyncio.timeout(90):
                while fake.llm.open_streams or fake.tts.open_streams:
                    await fake.tts.stream_ended.wait()
            assert gateway.resident_bytes() - before < HELD_BYTES
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await read_to_the_end(call)
            assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert "has not read for 1.5 s" in str(ended.value.details())


async def talk(gateway: Any) -> None:
    config = pb.ConverseConfig(pacing=pb.PACING_AS_MADE)
    async with grpc_conversation(gateway, config) as (send, said):
        await send(pb.ConverseRequest(text=pb.TextInput(text="Hello?")))
        await said.until_kind("turn_ended")


async def read_to_the_end(call: Any) -> None:
    async with asyncio.timeout(90):
        while await call.read() is not grpc.aio.EOF:
            pass
