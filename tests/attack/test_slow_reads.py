"""Clients that never read what they have asked for: their answers are bounded and end."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from typing import Any

import grpc
import pytest

from anima.memory import v1 as memory
from tests.attack.attacked import MIB, Attacked, until, until_answered

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(600)]

CLIENTS = 6
HELD_BYTES = 48 * MIB
USER = "slow-reader"


def deaf_socket(port: int) -> socket.socket:
    """Makes a connection whose own buffer is full after 4 KiB."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    one.connect(("127.0.0.1", port))
    return one


def request_of(mesh: Attacked, method: str, path: str, body: bytes = b"") -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {mesh.http}\r\nAnima-User-Id: {USER}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def remember_megabytes(mesh: Attacked) -> None:
    """Stores more than fits into the buffers between the memory and a client."""
    async with mesh.channel("memory") as channel:
        stub: Any = memory.MemoryServiceStub(channel)
        for start in range(0, 2_000, 100):
            # A long word is quick to embed.
            items = [memory.Item(text=f"Remark {start + n}: " + "x" * 7_900) for n in range(100)]
            await stub.Remember(memory.RememberRequest(user_id=USER, items=items))


async def recall(mesh: Attacked) -> None:
    async with mesh.channel("memory") as channel:
        stub: Any = memory.MemoryServiceStub(channel)
        recalled = await stub.Recall(memory.RecallRequest(user_id=USER, query="Remark 7"))
        assert recalled.items


async def until_closed(mesh: Attacked, first: int) -> None:
    """Waits until the gateway has no more connections of clients than before."""
    gateway = mesh.process("gateway")
    await until(lambda: connections_of(gateway, mesh.http_port) <= first)


def connections_of(process: Any, port: int) -> int:
    return sum(
        each.status == "ESTABLISHED" and each.laddr.port == port
        for each in process.net_connections("tcp")
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/memory/export", b""),
        ("POST", "/v1/ask?format=mp4", json.dumps({"text": "How do you work?"}).encode()),
        ("POST", "/v1/ask?format=wav", json.dumps({"text": "How do you work?"}).encode()),
    ],
)
async def test_an_answer_over_http_that_nobody_reads(
    open_mesh: Attacked, method: str, path: str, body: bytes
) -> None:
    await remember_megabytes(open_mesh)
    gateway = open_mesh.process("gateway")
    first = connections_of(gateway, open_mesh.http_port)
    before = open_mesh.resident_bytes("gateway")
    deaf = [deaf_socket(open_mesh.http_port) for _ in range(CLIENTS)]
    for one in deaf:
        one.sendall(request_of(open_mesh, method, path, body))
    # Others are answered meanwhile.
    await until_answered(open_mesh)
    # The gateway drops them by itself.
    await until_closed(open_mesh, first)
    assert open_mesh.resident_bytes("gateway") - before < HELD_BYTES
    for one in deaf:
        one.close()


async def test_an_export_over_grpc_that_nobody_reads(open_mesh: Attacked) -> None:
    await remember_megabytes(open_mesh)
    await recall(open_mesh)  # its index stays in memory
    before = open_mesh.resident_bytes("memory")

    def held() -> float:
        return open_mesh.total("memory", "anima_active_streams")

    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.lookahead_bytes", 1024)]
    async with grpc.aio.insecure_channel(open_mesh.address("memory"), options=options) as channel:
        stub: Any = memory.MemoryServiceStub(channel)
        calls = [stub.Export(memory.ExportRequest(user_id=USER)) for _ in range(CLIENTS)]
        for call in calls:
            await call.read()
        await recall(open_mesh)
        assert open_mesh.resident_bytes("memory") - before < HELD_BYTES
        # The service ends them; the status waits behind what the client does not read.
        assert held()
        await until(lambda: not held())


async def test_a_page_that_reads_nothing(open_mesh: Attacked) -> None:
    """Even the files of the page are dropped, and their connections."""
    gateway = open_mesh.process("gateway")
    first = connections_of(gateway, open_mesh.http_port)
    with closing(deaf_socket(open_mesh.http_port)) as one:
        for _ in range(64):
            one.sendall(request_of(open_mesh, "GET", "/static/i18n.js"))
        await until_closed(open_mesh, first)
