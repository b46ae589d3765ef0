"""Every call of every service with invalid bytes: a clear status, and the service goes on.

The bytes bypass the stubs and are sent unchanged, as by a broken client.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from anima.asr.v1 import asr_pb2
from anima.avatar.v1 import avatar_pb2
from anima.llm.v1 import llm_pb2
from anima.memory.v1 import memory_pb2
from anima.tts.v1 import tts_pb2
from tests.contract.conftest import stage_channel

SERVICES: dict[str, ServiceDescriptor] = {
    "asr": asr_pb2.DESCRIPTOR.services_by_name["AsrService"],
    "llm": llm_pb2.DESCRIPTOR.services_by_name["LlmService"],
    "memory": memory_pb2.DESCRIPTOR.services_by_name["MemoryService"],
    "tts": tts_pb2.DESCRIPTOR.services_by_name["TtsService"],
    "avatar": avatar_pb2.DESCRIPTOR.services_by_name["AvatarService"],
}

BAD = {
    "truncated": b"\x0a\x7f\x0a\x05",
    "not UTF-8": b"\x0a\x04\x0a\x02\xff\xfe",
    "a wrong wire type": b"\x0f\x00\x01",
    "a varint without end": b"\xff" * 32,
}


async def call(channel: Any, method: MethodDescriptor, payload: bytes) -> None:
    """Sends one message and reads until the end."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    if method.client_streaming:
        stream: Any = channel.stream_stream(path)()
        await stream.write(payload)
        while await stream.read() is not grpc.aio.EOF:
            pass
    elif method.server_streaming:
        async for _ in channel.unary_stream(path)(payload):
            pass
    else:
        await channel.unary_unary(path)(payload)


@pytest.mark.parametrize("stage", SERVICES)
async def test_what_is_no_call_of_the_contract(
    stage: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    service = SERVICES[stage]
    async with stage_channel(request, stage, tmp_path) as channel:
        for method in service.methods:
            for name, payload in BAD.items():
                if name == "not UTF-8" and not method.input_type.fields:
                    continue  # a message without fields ignores unknown fields
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call(channel, method, payload)
                seen = f"{method.name}, {name}: {refused.value.code()} {refused.value.details()}"
                assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, seen
                assert refused.value.details(), seen
        unknown: Any = channel.unary_unary(f"/{service.full_name}/NoSuchCall")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await unknown(b"")
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        await call(channel, service.methods_by_name["DescribeEngine"], b"")
