"""Floods by somebody who has the token, in a process of its own.

    ANIMA_TOKEN=... python -m bench.strangers.heavy_floods --http=127.0.0.1:8080 \\
        --gateway=127.0.0.1:50050 \\
        --avatar=127.0.0.1:50054 --memory=127.0.0.1:50053 --photos 24 --items 8 --held 8 --imports 8

`photos` of 31 MiB are uploaded at the same time, again and again, `items` clients type without ever
asking for an answer, `held` clients open conversations, `imports` clients open imports, and nothing
comes after that. The line "flooding" is printed once they have begun.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import grpc
import websockets

from anima.gateway import v1 as gateway
from anima.memory import v1 as memory
from services.runtime.calls.channels import open_channel
from testing.streams.avatar import png, upload

PHOTO_BYTES: Final = 31 << 20
KINDS: Final = ("photos", "items", "held", "imports")
_AGAIN_S: Final = 0.5
_REFUSED: Final = (grpc.aio.AioRpcError, grpc.aio.UsageError, OSError, asyncio.InvalidStateError)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where the floods go.

    Attributes:
        http: The address of the HTTP edge.
        gateway: The gRPC address of the gateway; `avatar` and `memory` likewise.
        token: The token.
    """

    http: str
    gateway: str
    avatar: str
    memory: str
    token: str


async def flood(target: Target, *, photos: int, items: int, held: int, imports: int) -> None:
    """Floods until it is cancelled.

    Args:
        target: Where the floods go.
        photos: Photos of 31 MiB that are uploaded at the same time, again and again.
        items: Clients that type items.
        held: Clients that hold conversations.
        imports: Clients that hold imports.
    """
    photo = png(64, 64, file_bytes=PHOTO_BYTES)
    work: list[Callable[[], Coroutine[Any, Any, None]]] = [
        *(partial(_upload, target, number, photo) for number in range(photos)),
        *(partial(_type_items, target) for _ in range(items)),
        *(partial(_hold_conversation, target, number) for number in range(held)),
        *(partial(_hold_import, target, number) for number in range(imports)),
    ]
    async with asyncio.TaskGroup() as tasks:
        for once in work:
            tasks.create_task(_again(once))
        print("flooding", flush=True)


async def _again(once: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        with contextlib.suppress(*_REFUSED, websockets.WebSocketException, TimeoutError):
            await once()
        await asyncio.sleep(_AGAIN_S)


async def _upload(target: Target, number: int, photo: bytes) -> None:
    async with open_channel(target.avatar, token=target.token) as channel:
        await upload(channel, f"flood{number}", photo)


async def _type_items(target: Target) -> None:
    text = {"type": "input_text", "text": "x" * 7_900}
    item = {"type": "message", "role": "user", "content": [text] * 32}
    event = json.dumps({"type": "conversation.item.create", "item": item})
    headers = {"authorization": f"Bearer {target.token}"}
    url = f"ws://{target.http}/v1/realtime"
    async with websockets.connect(url, additional_headers=headers, max_size=None) as page:
        while True:
            await page.send(event)
            await page.recv()


async def _hold_conversation(target: Target, number: int) -> None:
    async with open_channel(target.gateway, token=target.token) as channel:
        stub: Any = gateway.GatewayServiceStub(channel)
        call = stub.Converse()
        config = gateway.ConverseConfig(text_only=True, user_id=f"held-{number}")
        await call.write(gateway.ConverseRequest(config=config))
        while await call.read() is not grpc.aio.EOF:
            pass


async def _hold_import(target: Target, number: int) -> None:
    async with open_channel(target.memory, token=target.token) as channel:
        stub: Any = memory.MemoryServiceStub(channel)
        call = stub.Import()
        await call.write(memory.ImportRequest(user_id=f"held-{number}"))
        await call  # the server ends it


def main() -> None:
    """Runs from the command line until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("http", "gateway", "avatar", "memory"):
        parser.add_argument(f"--{name}", required=True)
    for name in KINDS:
        parser.add_argument(f"--{name}", type=int, default=0)
    options = vars(parser.parse_args())
    counts = {name: options.pop(name) for name in KINDS}
    target = Target(**options, token=os.environ["ANIMA_TOKEN"])
    asyncio.run(flood(target, **counts))


if __name__ == "__main__":
    main()
