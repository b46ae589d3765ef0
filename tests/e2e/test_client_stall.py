"""A client that does not read: its conversation is ended, and memory stays where it was."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import psutil
import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from tests.fakes.mesh import FakeMesh
from tests.unit.gateway.conversing import grpc_conversation

LONG = [f" This is sentence number {number} of a very long answer." for number in range(400)]
STALL_S = 1.0


async def test_client_that_does_not_read_is_evicted_and_the_others_talk_on() -> None:
    async with FakeMesh() as fake:
        fake.llm.answers = {"Long?": LONG}
        fake.tts.ms_per_char = 60
        async with fake.gateway(client_stall_timeout_s=STALL_S) as gateway:
            await talk(gateway)  # What every process loads once is not counted.
            # So that the client's own window is full at once.
            options = [("grpc.http2.lookahead_bytes", 1024)]
            async with grpc.aio.insecure_channel(gateway.address, options=options) as channel:
                call: Any = type(gateway)(channel).Converse()
                config = pb.ConverseConfig(pacing=pb.PACING_AS_MADE)
                await call.write(pb.ConverseRequest(config=config))
                await call.read()
                await call.write(pb.ConverseRequest(text=pb.TextInput(text="Long?")))
                before = psutil.Process().memory_info().rss
                started_at = time.monotonic()
                await talk(gateway)
                async with asyncio.timeout(10):
                    while fake.llm.open_streams or fake.tts.open_streams:
                        await fake.tts.stream_ended.wait()
                took_s = time.monotonic() - started_at
                assert took_s < 10 * STALL_S
                # 400 sentences are an hour of audio: 190 MB, had somebody kept it.
                assert psutil.Process().memory_info().rss - before < 40 << 20
                with pytest.raises(grpc.aio.AioRpcError) as ended:
                    await read_to_the_end(call)
                assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                assert "has not read for 1 s" in str(ended.value.details())


async def talk(gateway: Any) -> None:
    async with grpc_conversation(gateway) as (send, said):
        await send(pb.ConverseRequest(text=pb.TextInput(text="Hello?")))
        await said.until_kind("turn_ended")


async def read_to_the_end(call: Any) -> None:
    async with asyncio.timeout(10):
        while await call.read() is not grpc.aio.EOF:
            pass
