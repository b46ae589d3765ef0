"""A gateway whose places are all taken says so at every edge, and gives them back at once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest
import websockets

from anima.gateway import v1 as gateway
from cli.mesh.layout import free_addresses
from services.runtime.errors import Busy, error_from_rpc
from testing.fakes.mesh import FakeMesh
from tests.service_process import gateway_process, stub_of
from tests.unit.gateway.conversing import LONG

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(300)]

QUESTION = "Tell me all."


class Edges:
    """A gateway with one place: conversations hold it, and each edge asks for it.

    `ask_...` returns an empty text if it got the place, otherwise the refusal.
    """

    def __init__(self, stub: Any, http: str) -> None:
        self._stub = stub
        self._http = http

    @asynccontextmanager
    async def hold_grpc(self) -> AsyncIterator[None]:
        while (call := await self._begun()) is None:
            pass
        await call.write(gateway.ConverseRequest(text=gateway.TextInput(text=QUESTION)))
        while (await call.read()).WhichOneof("event") != "media":
            pass
        try:
            yield
        finally:
            call.cancel()

    @asynccontextmanager
    async def hold_websocket(self) -> AsyncIterator[None]:
        async with websockets.connect(f"ws://{self._http}/v1/realtime", max_size=None) as page:
            kind = "error"
            while kind == "error":
                await _ask(page)
                while (kind := _kind(await page.recv())) not in ("response.created", "error"):
                    pass
            yield

    async def _begun(self) -> Any:
        """Returns a conversation; None: there was no place."""
        call = self._stub.Converse()
        try:
            await call.write(gateway.ConverseRequest(config=gateway.ConverseConfig()))
            return None if await call.read() is grpc.aio.EOF else call
        except grpc.aio.AioRpcError:
            return None

    async def ask_grpc(self) -> str:
        call = self._stub.Converse(iter([gateway.ConverseRequest(config=gateway.ConverseConfig())]))
        try:
            await call.read()
        except grpc.aio.AioRpcError as error:
            busy = error_from_rpc(error)
            assert isinstance(busy, Busy), busy
            assert busy.retry_after_ms
            return busy.message
        finally:
            call.cancel()
        return ""

    async def ask_websocket(self) -> str:
        async with websockets.connect(f"ws://{self._http}/v1/realtime", max_size=None) as page:
            await _ask(page)
            while (event := _event(await page.recv())).get("type") != "response.created":
                if event.get("type") == "error":
                    assert event["error"]["code"] == "capacity"
                    return str(event["error"]["message"])
        return ""

    async def ask_rest(self) -> str:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            answer = await client.post(
                f"http://{self._http}/v1/ask?format=json", json={"text": "Hello?"}
            )
        if answer.status_code == 200:
            return ""
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        return str(answer.json()["detail"])


async def _ask(page: Any) -> None:
    part = {"type": "input_text", "text": QUESTION}
    item = {"type": "message", "role": "user", "content": [part]}
    await page.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await page.send(json.dumps({"type": "response.create"}))


def _event(message: str | bytes) -> dict[str, Any]:
    return json.loads(message) if isinstance(message, str) else {}


def _kind(message: str | bytes) -> str:
    return str(_event(message).get("type", ""))


@pytest.mark.parametrize("holder", ["grpc", "websocket"])
async def test_a_full_gateway(holder: str) -> None:
    async with FakeMesh() as fake:
        fake.llm.answers = {QUESTION: LONG}
        (http,) = free_addresses(1)
        async with (
            gateway_process(
                fake.addresses,
                capacity=1,
                http_listen=http,
                # So that no time-out gives a place back.
                client_stall_timeout_s=3600,
                peer_timeout_s=3600,
            ) as process,
            stub_of(process) as stub,
        ):
            edges = Edges(stub, http)
            asking = [edges.ask_grpc, edges.ask_websocket, edges.ask_rest]
            hold: Callable[[], AbstractAsyncContextManager[None]]
            hold = getattr(edges, f"hold_{holder}")
            for ask in asking:
                async with hold():
                    refusal = await ask()
                    assert "place" in refusal, refusal
                while await ask():
                    pass
                # Whoever asked over a page or a stream has left again.
                while await edges.ask_grpc():
                    pass
