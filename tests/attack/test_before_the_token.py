"""What somebody without the token can do: hold connections, ask for probes (A1, A2, A7)."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import pytest
import websockets

from tests.attack.attacked import MIB, TOKEN, Attacked

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(300)]

HALF_A_HEAD = b"POST /v1/ask HTTP/1.1\r\nHost: localhost\r\nX-A: "
LIMIT = 200


@contextmanager
def few_descriptors(process: psutil.Process, most: int) -> Iterator[None]:
    """Limits the descriptors of a process for the body."""
    before = process.rlimit(resource.RLIMIT_NOFILE)
    process.rlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        process.rlimit(resource.RLIMIT_NOFILE, before)


def connections(mesh: Attacked, count: int, stack: ExitStack, first: bytes) -> list[socket.socket]:
    """Opens connections that send a beginning and then nothing; those that are refused are left."""
    opened = []
    for _ in range(count):
        try:
            one = socket.create_connection(("127.0.0.1", mesh.http_port), timeout=5)
            opened.append(stack.enter_context(one))
            one.sendall(first)
        except OSError:
            continue
    return opened


def wait_for_the_end(one: socket.socket) -> None:
    """Waits until the server closes a connection."""
    one.settimeout(None)
    try:
        while one.recv(4096):
            pass
    except ConnectionError:
        pass


def healthy(mesh: Attacked) -> bool:
    try:
        return httpx.get(mesh.url("/healthz"), timeout=30, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("first", [b"", HALF_A_HEAD], ids=["nothing", "half a head"])
def test_connections_that_say_nothing_are_closed(guarded_mesh: Attacked, first: bytes) -> None:
    with ExitStack() as stack:
        held = connections(guarded_mesh, 300, stack, first)
        assert held
        for one in held:
            wait_for_the_end(one)
    assert healthy(guarded_mesh)


@pytest.mark.parametrize("first", [b"", HALF_A_HEAD], ids=["nothing", "half a head"])
def test_a_full_table_of_descriptors_is_quiet(guarded_mesh: Attacked, first: bytes) -> None:
    logged = guarded_mesh.log_bytes()
    gateway = guarded_mesh.process("gateway")
    with few_descriptors(gateway, LIMIT), ExitStack() as stack:
        held = connections(guarded_mesh, 2 * LIMIT, stack, first)
        for one in held:
            wait_for_the_end(one)
        while not healthy(guarded_mesh):
            pass
    assert guarded_mesh.log_bytes() - logged < MIB
    assert gateway.is_running()


async def squat(mesh: Attacked) -> None:
    """Holds a WebSocket that never names a token, and opens it again when it is closed."""
    while True:
        try:
            async with websockets.connect(mesh.url("/v1/realtime", "ws"), open_timeout=30) as one:
                await one.wait_closed()
        except (OSError, TimeoutError, websockets.WebSocketException):
            await asyncio.sleep(0.1)


async def test_sockets_without_a_token_take_no_place_of_others(guarded_mesh: Attacked) -> None:
    async with asyncio.TaskGroup() as tasks:
        squatters = [tasks.create_task(squat(guarded_mesh)) for _ in range(80)]
        for _ in range(20):
            async with websockets.connect(
                guarded_mesh.url("/v1/realtime", "ws"),
                additional_headers={"authorization": f"Bearer {TOKEN}"},
                open_timeout=60,
            ) as page:
                assert json.loads(await page.recv())["type"] == "session.created"
        for each in squatters:
            each.cancel()


@pytest.mark.parametrize("path", ["/readyz", "/healthz", "/v1/mesh"])
async def test_a_flood_of_probes_asks_no_stage(guarded_mesh: Attacked, path: str) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"} if path.startswith("/v1/") else {}
    stages = [service for service in guarded_mesh.metrics if service != "gateway"]

    def asked() -> float:
        return sum(
            guarded_mesh.total(stage, "anima_calls_total", method="DescribeEngine")
            for stage in stages
        )

    before = asked()
    async with httpx.AsyncClient(
        base_url=guarded_mesh.url(""), headers=headers, timeout=60, trust_env=False
    ) as client:
        answers = [await asyncio.gather(*(client.get(path) for _ in range(50))) for _ in range(10)]
    assert all(answer.status_code == 200 for group in answers for answer in group)
    # Answers are kept for a second, and the gateway asks its stages itself from time to time.
    assert asked() - before < 500
