"""A few bytes that become many: compressed messages, bodies, pictures and documents."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import httpx
import pytest
import websockets

from anima.avatar import v1 as avatar
from anima.gateway import v1 as gateway
from anima.llm import v1 as llm
from anima.memory import v1 as memory
from testing.streams.avatar import upload
from tests.attack.attacked import MIB, Attacked
from tests.attack.test_documents import add

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(600)]

UNPACKED_BYTES = 256 * MIB
# What may be held of a bomb: less than a part of it, and more than the limits of messages.
HELD_BYTES = 64 * MIB


async def growth(
    mesh: Attacked, service: str, attack: Callable[[], Awaitable[Any]]
) -> tuple[Any, int]:
    """Returns what an attack returned, and by how much a service grew meanwhile, bytes."""
    before, peak = mesh.resident_bytes(service), 0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, mesh.resident_bytes(service))
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    try:
        return await attack(), peak - before
    finally:
        watching.cancel()


@pytest.mark.parametrize(
    ("service", "stub", "method", "request_of"),
    [
        ("memory", memory.MemoryServiceStub, "Recall", memory.RecallRequest),
        ("memory", memory.MemoryServiceStub, "Remember", memory.RememberRequest),
        ("avatar", avatar.AvatarServiceStub, "DeleteAvatar", avatar.DeleteAvatarRequest),
        ("llm", llm.LlmServiceStub, "ListPersonas", llm.ListPersonasRequest),
        ("gateway", gateway.GatewayServiceStub, "DescribeMesh", gateway.DescribeMeshRequest),
    ],
)
async def test_a_packed_message(
    open_mesh: Attacked, service: str, stub: Any, method: str, request_of: Any
) -> None:
    # Field 15 is known to no message, so the bytes are a valid one.
    bomb = b"\x7a" + _varint(UNPACKED_BYTES) + bytes(UNPACKED_BYTES)
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]

    async def attack() -> grpc.StatusCode:
        async with grpc.aio.insecure_channel(
            open_mesh.address(service), options=options, compression=grpc.Compression.Gzip
        ) as channel:
            path = f"/{request_of.DESCRIPTOR.file.package}.{_service_of(stub)}/{method}"
            call: Any = channel.unary_unary(path, request_serializer=lambda data: data)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(bomb, timeout=120)
            return refused.value.code()

    code, grown = await growth(open_mesh, service, attack)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert grown < HELD_BYTES


def _service_of(stub: Any) -> str:
    return str(stub.__name__).removesuffix("Stub")


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


async def test_a_websocket_that_packs_its_messages(open_mesh: Attacked) -> None:
    async def attack() -> int | None:
        async with websockets.connect(
            open_mesh.url("/v1/realtime", "ws"),
            compression="deflate",
            max_size=None,
            open_timeout=60,
        ) as page:
            # Packing was not agreed on, so the client sends what it would have packed.
            assert not page.protocol.extensions
            try:
                await page.send(bytes(UNPACKED_BYTES // 8))
                await page.wait_closed()
            except websockets.ConnectionClosed:
                pass
            return page.close_code

    code, grown = await growth(open_mesh, "gateway", attack)
    assert code in (1006, 1009)
    assert grown < HELD_BYTES


async def test_a_frame_that_claims_to_be_packed(open_mesh: Attacked) -> None:
    """RSV1 marks a packed frame; nobody has agreed to it."""
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(bytes(UNPACKED_BYTES)) + packer.flush(zlib.Z_SYNC_FLUSH)
    reader, writer = await asyncio.open_connection("127.0.0.1", open_mesh.http_port)
    writer.write(
        f"GET /v1/realtime HTTP/1.1\r\nHost: {open_mesh.http}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in head
    assert b"permessage-deflate" not in head

    async def attack() -> None:
        frame = b"\xc2\xff" + struct.pack(">Q", len(packed)) + bytes(4) + packed
        writer.write(frame)
        # The server closes; the timeout of the test is the limit.
        while await reader.read(65_536):
            pass

    _, grown = await growth(open_mesh, "gateway", attack)
    writer.close()
    assert grown < HELD_BYTES


@pytest.mark.parametrize("path", ["/v1/ask?format=json", "/v1/avatars"])
async def test_a_packed_body(open_mesh: Attacked, path: str) -> None:
    body = gzip.compress(json.dumps({"text": "x" * UNPACKED_BYTES}).encode(), 1)

    async def attack() -> int:
        async with httpx.AsyncClient(trust_env=False, timeout=120) as client:
            answer = await client.post(
                open_mesh.url(path),
                content=body,
                headers={"content-encoding": "gzip", "content-type": "application/json"},
            )
            return answer.status_code

    status, grown = await growth(open_mesh, "gateway", attack)
    assert 400 <= status < 500
    assert grown < HELD_BYTES


def png_of(width_px: int, height_px: int) -> bytes:
    """Returns a black picture of one bit per pixel, which packs to almost nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(1)
    line = bytes(1 + (width_px + 7) // 8)
    data = b"".join(packer.compress(line) for _ in range(height_px)) + packer.flush()
    head = struct.pack(">IIBBBBB", width_px, height_px, 1, 0, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


async def test_a_picture_of_a_gigapixel(open_mesh: Attacked) -> None:
    photo = png_of(32_000, 32_000)

    async def attack() -> grpc.StatusCode:
        async with open_mesh.channel("avatar") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await upload(channel, "gigapixel", photo)
            return refused.value.code()

    code, grown = await growth(open_mesh, "avatar", attack)
    assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)
    assert grown < HELD_BYTES + len(photo)


async def test_a_document_of_a_gigabyte(open_mesh: Attacked) -> None:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package,
        package.open("word/document.xml", "w", force_zip64=True) as part,
    ):
        for _ in range(1024):
            part.write(bytes(MIB))

    async def attack() -> str:
        async with open_mesh.channel("memory") as channel:
            stub: Any = memory.MemoryServiceStub(channel)
            owner = memory.KnowledgeOwner(user_id="bomb")
            return await add(stub, owner, "bomb.docx", file.getvalue())

    outcome, grown = await growth(open_mesh, "memory", attack)
    assert outcome.startswith("refused: FAILED_PRECONDITION"), outcome
    assert grown < 2 * HELD_BYTES
