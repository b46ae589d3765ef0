"""Bodies of requests: who sends one too slowly is answered, and holds nothing."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.types import Message

from gateway.http import bodies
from gateway.http.app import create_app
from gateway.http.bodies import PacedBodies
from gateway.http.problems import Problem
from gateway.http.server import HttpServer
from services.runtime.limits.progress import StreamLimits
from testing.fakes.mesh import FakeMesh
from testing.virtual_time import in_virtual_time

FORM = "multipart/form-data; boundary=x"


async def half_a_body(address: str, path: str) -> str:
    """Sends a part of a body and returns the answer."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {FORM}\r\n"
    writer.write(f"{head}Content-Length: 5000\r\n\r\n--x\r\n".encode())
    await writer.drain()
    answer = await reader.readuntil(b"}")
    writer.close()
    return answer.decode()


async def test_a_body_that_stops_is_answered_and_its_place_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "UPLOAD", StreamLimits(silence_s=0.05))
    async with FakeMesh() as fake, fake.mesh() as mesh, asyncio.timeout(60):
        server = HttpServer(create_app(mesh), mesh.settings)
        await server.start()
        try:
            for path in ("/v1/avatars", "/v1/ask"):
                answers = await asyncio.gather(
                    *(half_a_body(server.address, path) for _ in range(12))
                )
                statuses = sorted(answer.split()[1] for answer in answers)
                assert set(statuses) <= {"408", "429"}
                slow = [answer for answer in answers if answer.split()[1] == "408"]
                assert slow
                assert all("the body stopped for 0.05 s" in answer for answer in slow)
                full = [answer for answer in answers if answer.split()[1] == "429"]
                assert all("retry-after" in answer for answer in full)
            async with httpx.AsyncClient(base_url=f"http://{server.address}") as client:
                reply = await client.post("/v1/ask", files={"audio": b""})
            assert reply.status_code == 422
        finally:
            await server.stop()


def received(limits: StreamLimits, parts: list[tuple[float, int]]) -> float:
    """Receives the parts of a body, each after a pause; returns how long that took."""

    async def main() -> float:
        async def receive() -> Message:
            if not parts:
                await asyncio.sleep(10_000)
                return {"type": "http.disconnect"}
            pause_s, size = parts.pop(0)
            await asyncio.sleep(pause_s)
            return {"type": "http.request", "body": bytes(size), "more_body": bool(parts)}

        async def app(scope: object, receive: object, send: object) -> None:
            while (await receive())["type"] != "http.disconnect":  # type: ignore[operator]
                pass

        async def send(message: Message) -> None:
            pass

        await PacedBodies(app, limits=limits)({"type": "http"}, receive, send)
        return asyncio.get_running_loop().time()

    return in_virtual_time(main)


def test_after_the_body_nothing_is_limited() -> None:
    assert received(StreamLimits(silence_s=10, upload_s=300), [(9, 1), (9, 1)]) == 10_018


@pytest.mark.parametrize(
    ("limits", "parts", "text"),
    [
        (StreamLimits(least_bytes_per_s=1_000), [(5, 1)] * 100, "less than 1000 bytes/s"),
        (StreamLimits(upload_s=300), [(50, 1_000_000)] * 100, "at most 300 s"),
        (StreamLimits(silence_s=10), [(9, 1), (11, 1)], "stopped for 10 s"),
    ],
)
def test_a_drip_is_refused(limits: StreamLimits, parts: list[tuple[float, int]], text: str) -> None:
    with pytest.raises(Problem, match=text) as caught:
        received(limits, parts)
    assert caught.value.status == 408
