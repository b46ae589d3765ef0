"""A client that is frozen in the middle of an answer: it is dropped, and its peers talk on."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from anima.common import v1 as common
from anima.gateway import v1 as gateway
from tests.attack.attacked import Attacked, until
from tests.unit.gateway.conversing import grpc_conversation

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(300)]

OVER_GRPC = """
import asyncio, sys
import grpc
from anima.gateway import v1 as gateway

async def main(address):
    async with grpc.aio.insecure_channel(address) as channel:
        call = gateway.GatewayServiceStub(channel).Converse()
        await call.write(gateway.ConverseRequest(config=gateway.ConverseConfig()))
        text = gateway.TextInput(text="How do you work?")
        while (event := await call.read()) is not grpc.aio.EOF:
            kind = event.WhichOneof("event")
            if kind in ("session_started", "turn_ended"):
                await call.write(gateway.ConverseRequest(text=text))
            if kind == "media":
                print("media", flush=True)

asyncio.run(main(sys.argv[1]))
"""
OVER_WEBSOCKET = """
import asyncio, json, sys
import websockets

async def main(address):
    part = {"type": "input_text", "text": "How do you work?"}
    item = {"type": "message", "role": "user", "content": [part]}
    async with websockets.connect(address, max_size=None) as page:
        await page.send(json.dumps({"type": "session.update",
            "session": {"anima": {"media": "fmp4"}}}))
        while True:
            await page.send(json.dumps({"type": "conversation.item.create", "item": item}))
            await page.send(json.dumps({"type": "response.create"}))
            kind = ""
            while kind != "response.done":
                message = await page.recv()
                kind = json.loads(message)["type"] if isinstance(message, str) else kind
                if isinstance(message, bytes):
                    print("media", flush=True)

asyncio.run(main(sys.argv[1]))
"""


@asynccontextmanager
async def client(program: str, address: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs a client in a process of its own, until it receives media."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, address), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert running.stdout is not None
        assert await running.stdout.readline() == b"media\n"
        yield running
    finally:
        running.kill()
        await running.wait()


@pytest.mark.parametrize("edge", ["grpc", "websocket"])
async def test_a_frozen_client_is_dropped(open_mesh: Attacked, edge: str) -> None:
    program, address = {
        "grpc": (OVER_GRPC, open_mesh.address("gateway")),
        "websocket": (OVER_WEBSOCKET, open_mesh.url("/v1/realtime", "ws")),
    }[edge]
    async with client(program, address) as frozen:
        frozen.send_signal(signal.SIGSTOP)
        async with open_mesh.channel("gateway") as channel:
            stub: Any = gateway.GatewayServiceStub(channel)
            config = gateway.ConverseConfig(audio_only=True)
            async with grpc_conversation(stub, config) as (send, said):
                for number in (1, 2):
                    text = gateway.TextInput(text="Who are you?")
                    await send(gateway.ConverseRequest(text=text))
                    ended = await said.until_kind("turn_ended", number)
                    assert ended.reason == common.END_REASON_COMPLETE, said.problem()
                    assert said.all("media")
        await until(lambda: not open_mesh.total("avatar", "anima_active_streams"))
        await until(lambda: not open_mesh.total("gateway", "anima_gateway_sessions"))
        frozen.send_signal(signal.SIGCONT)
