"""Places that are held without being used: others get one again (A8)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
import websockets

from anima.avatar import v1 as avatar
from anima.gateway import v1 as gateway
from anima.memory import v1 as memory
from tests.attack.attacked import Attacked, until_answered, until_it_works

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(600)]

Opened = Callable[[Any, int], Awaitable[Any]]


@asynccontextmanager
async def held(mesh: Attacked, service: str, count: int, opened: Opened) -> AsyncIterator[None]:
    """Holds calls of one client open for the body."""
    async with mesh.channel(service) as channel:
        calls = []
        for number in range(count):
            # What one caller may hold may be fewer: the rest is refused.
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                calls.append(await opened(channel, number))
        yield
        for call in calls:
            call.cancel()


def stub_of(stub: Any, channel: Any) -> Any:
    return stub(channel)


async def creating(channel: Any, number: int) -> Any:
    """An upload of a photo that sends only its config."""
    call = stub_of(avatar.AvatarServiceStub, channel).CreateAvatar()
    config = avatar.CreateAvatarConfig(name=f"held{number}", consent="A picture of nobody.")
    await call.write(avatar.CreateAvatarRequest(config=config))
    return call


async def created_and_left(channel: Any, number: int) -> Any:
    """An upload that says that the photo has ended, and keeps the stream open."""
    call = await creating(channel, number)
    await call.write(avatar.CreateAvatarRequest(end_of_photo=avatar.EndOfPhoto()))
    return call


async def rendering(channel: Any, number: int) -> Any:
    call = stub_of(avatar.AvatarServiceStub, channel).Render()
    config = avatar.RenderConfig(turn_id=f"held{number}", sample_rate_hz=16_000)
    await call.write(avatar.RenderRequest(config=config))
    return call


async def adding(channel: Any, number: int) -> Any:
    call = stub_of(memory.MemoryServiceStub, channel).AddDocument()
    owner = memory.KnowledgeOwner(user_id=f"held{number}")
    config = memory.DocumentConfig(owner=owner, file_name="a.txt")
    await call.write(memory.AddDocumentRequest(config=config))
    return call


async def importing(channel: Any, number: int) -> Any:
    call = stub_of(memory.MemoryServiceStub, channel).Import()
    await call.write(memory.ImportRequest(user_id=f"held{number}"))
    return call


async def conversing(channel: Any, number: int) -> Any:
    call = stub_of(gateway.GatewayServiceStub, channel).Converse()
    await call.write(gateway.ConverseRequest(config=gateway.ConverseConfig(text_only=True)))
    return call


async def conversing_in_silence(channel: Any, number: int) -> Any:
    call = stub_of(gateway.GatewayServiceStub, channel).Converse()
    await call.wait_for_connection()
    return call


async def first_response(call: Any) -> Any:
    """Reads the first response of a call and cancels it."""
    try:
        response = await call.read()
        if response is grpc.aio.EOF:
            raise grpc.aio.AioRpcError(
                await call.code(), grpc.aio.Metadata(), grpc.aio.Metadata(), await call.details()
            )
        return response
    finally:
        call.cancel()


@pytest.mark.parametrize("opened", [creating, created_and_left])
async def test_uploads_of_photos(open_mesh: Attacked, opened: Opened) -> None:
    async with held(open_mesh, "avatar", 4, opened), open_mesh.channel("avatar") as channel:

        async def another() -> Any:
            return await first_response(await creating(channel, 99))

        assert (await until_it_works(another)).WhichOneof("event") == "progress"


async def test_films(open_mesh: Attacked) -> None:
    async with held(open_mesh, "avatar", 4, rendering), open_mesh.channel("avatar") as channel:

        async def another() -> Any:
            return await first_response(await rendering(channel, 99))

        assert (await until_it_works(another)).started.avatar


@pytest.mark.parametrize("dripping", [False, True])
async def test_uploads_of_documents(open_mesh: Attacked, dripping: bool) -> None:
    opened = drip if dripping else adding
    async with held(open_mesh, "memory", 4, opened), open_mesh.channel("memory") as channel:

        async def another() -> Any:
            return await first_response(await adding(channel, 99))

        assert (await until_it_works(another)).WhichOneof("event") == "progress"


async def drip(channel: Any, number: int) -> Any:
    """An upload that sends a byte every few seconds."""
    call = await adding(channel, number)

    async def dripping() -> None:
        while not call.done():
            await call.write(memory.AddDocumentRequest(content=b"a"))
            await asyncio.sleep(5)

    return _Both(call, asyncio.create_task(dripping()))


class _Both:
    def __init__(self, call: Any, task: asyncio.Task[None]) -> None:
        self._call, self._task = call, task
        # The call ends when the server has had enough of it.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def cancel(self) -> None:
        self._task.cancel()
        self._call.cancel()


async def test_imports_leave_recalls_alone(open_mesh: Attacked) -> None:
    async with held(open_mesh, "memory", 64, importing), open_mesh.channel("memory") as channel:
        stub: Any = memory.MemoryServiceStub(channel)

        async def recalled() -> Any:
            return await stub.Recall(memory.RecallRequest(user_id="ada", query="What is my name?"))

        await until_it_works(recalled)


@pytest.mark.parametrize("opened", [conversing, conversing_in_silence])
async def test_conversations_over_grpc(open_mesh: Attacked, opened: Opened) -> None:
    async with held(open_mesh, "gateway", 16, opened):
        await until_answered(open_mesh)


async def test_conversations_over_websockets(open_mesh: Attacked) -> None:
    sockets = []
    for _ in range(16):
        one = await websockets.connect(open_mesh.url("/v1/realtime", "ws"), open_timeout=60)
        update = {"type": "session.update", "session": {"output_modalities": ["text"]}}
        await one.send(json.dumps(update))
        await one.send(bytes(640))
        sockets.append(one)
    try:
        await until_answered(open_mesh)
    finally:
        for each in sockets:
            await each.close()


async def test_bodies_that_never_come(open_mesh: Attacked) -> None:
    head = (
        f"POST /v1/ask HTTP/1.1\r\nHost: {open_mesh.http}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", open_mesh.http_port)
    writer.write(head.encode())
    await writer.drain()
    # The server answers or closes; the timeout of the test is the limit.
    await reader.read()
    writer.close()
