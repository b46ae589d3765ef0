"""Floods by somebody who has the token: photos, typed items, streams without progress."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any, Final

import grpc
import websockets

from anima.gateway import v1 as gateway
from anima.memory import v1 as memory
from services.runtime.calls.channels import open_channel
from testing.streams.avatar import png, upload

PHOTO_BYTES: Final = 31 << 20
_AGAIN_S: Final = 0.5
_REFUSED: Final = (grpc.aio.AioRpcError, grpc.aio.UsageError, OSError, asyncio.InvalidStateError)

Address = Callable[[str], str]


@contextlib.asynccontextmanager
async def heavy_floods(
    address: Address, http: str, token: str, *, photos: int, others: int
) -> AsyncIterator[None]:
    """Floods for the body.

    Args:
        address: Returns the gRPC address of a service.
        http: The address of the HTTP edge.
        token: The token.
        photos: Photos of 31 MiB that are uploaded at the same time, again and again.
        others: Clients of each other kind.
    """
    photo = png(64, 64, file_bytes=PHOTO_BYTES)
    work = [_again(partial(_upload, address, token, number, photo)) for number in range(photos)]
    for number in range(others):
        work += [
            _again(partial(_type_items, http, token)),
            _again(partial(_hold_conversation, address, token, number)),
            _again(partial(_hold_import, address, token, number)),
        ]
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _again(once: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        with contextlib.suppress(*_REFUSED, websockets.WebSocketException, TimeoutError):
            await once()
        await asyncio.sleep(_AGAIN_S)


async def _upload(address: Address, token: str, number: int, photo: bytes) -> None:
    async with open_channel(address("avatar"), token=token) as channel:
        await upload(channel, f"flood{number}", photo)


async def _type_items(http: str, token: str) -> None:
    text = {"type": "input_text", "text": "x" * 7_900}
    item = {"type": "message", "role": "user", "content": [text] * 32}
    event = json.dumps({"type": "conversation.item.create", "item": item})
    headers = {"authorization": f"Bearer {token}"}
    url = f"ws://{http}/v1/realtime"
    async with websockets.connect(url, additional_headers=headers, max_size=None) as page:
        while True:
            await page.send(event)
            await page.recv()


async def _hold_conversation(address: Address, token: str, number: int) -> None:
    async with open_channel(address("gateway"), token=token) as channel:
        stub: Any = gateway.GatewayServiceStub(channel)
        call = stub.Converse()
        config = gateway.ConverseConfig(text_only=True, user_id=f"held-{number}")
        await call.write(gateway.ConverseRequest(config=config))
        while await call.read() is not grpc.aio.EOF:
            pass


async def _hold_import(address: Address, token: str, number: int) -> None:
    async with open_channel(address("memory"), token=token) as channel:
        stub: Any = memory.MemoryServiceStub(channel)
        call = stub.Import()
        await call.write(memory.ImportRequest(user_id=f"held-{number}"))
        await call  # the server ends it
