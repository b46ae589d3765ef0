"""Memory that one client can make a service hold (A9)."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import grpc
import pytest
import websockets

from testing.streams.avatar import png, upload
from tests.attack.attacked import MIB, Attacked

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(600)]

PHOTO_BYTES = 31 * MIB
ANSWERS = ("conversation.item.added", "error")


async def try_upload(mesh: Attacked, number: int, photo: bytes) -> None:
    """Uploads a photo; whether it is taken or refused does not matter."""
    with suppress(grpc.aio.AioRpcError):
        async with mesh.channel("avatar") as channel:
            await upload(channel, f"bytes{number}", photo)


async def peak_of(mesh: Attacked, photos: int, photo: bytes) -> int:
    """Returns the most memory of the avatar service while photos are uploaded together."""
    peak = 0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, mesh.resident_bytes("avatar"))
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(try_upload(mesh, number, photo) for number in range(photos)))
    watching.cancel()
    return peak


async def test_photos_that_wait(open_mesh: Attacked) -> None:
    photo = png(64, 64, file_bytes=PHOTO_BYTES)
    normal = await peak_of(open_mesh, 1, photo)
    # Two are held at most: one is decoded while another is received.
    assert await peak_of(open_mesh, 24, photo) < 1.3 * normal + 2 * PHOTO_BYTES


async def test_typed_items_without_a_response(open_mesh: Attacked) -> None:
    text = {"type": "input_text", "text": "x" * 7_900}
    item = {"type": "message", "role": "user", "content": [text] * 32}
    event = json.dumps({"type": "conversation.item.create", "item": item})
    before = open_mesh.resident_bytes("gateway")
    refused = 0
    async with websockets.connect(
        open_mesh.url("/v1/realtime", "ws"), max_size=None, open_timeout=60
    ) as page:
        with suppress(websockets.ConnectionClosed):
            for _ in range(300):
                await page.send(event)
                # Each is confirmed or refused, so the limit of messages a second is not reached.
                while (answer := json.loads(await page.recv())["type"]) not in ANSWERS:
                    pass
                refused += answer == "error"
        held = open_mesh.resident_bytes("gateway") - before
    assert refused
    assert held < 30 * MIB
