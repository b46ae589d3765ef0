"""What a stranger or another web page can make the HTTP edge do: little, and once."""

from __future__ import annotations

import asyncio

import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from services.runtime.process.tasks import Tasks
from tests.unit.gateway.test_rest import problem, site

NOT_ON_OFFER = ["-1", "1918", "1920", "0512", "99999999999", "6.4", "²", ""]


async def test_a_format_that_is_not_on_offer_is_named() -> None:
    async with site() as (fake, _, client):
        address = "/v1/avatars/ani/idle.mp4"
        for name in ("width_px", "height_px", "frame_rate_hz"):
            for number in NOT_ON_OFFER:
                assert name in problem(await client.get(address, params={name: number}), 422)
        params = {"width_px": 256, "height_px": 512}
        assert "height_px" in problem(await client.get(address, params=params), 422)
        assert fake.avatar.idle_loops.started == 0
        params = {"width_px": 256, "height_px": 256, "frame_rate_hz": 25}
        assert (await client.get(address, params=params)).status_code == 200


async def test_an_idle_loop_is_made_once_for_all_and_not_for_those_who_have_gone() -> None:
    async with site() as (fake, _, client), asyncio.timeout(90):
        loops = fake.avatar.idle_loops
        loops.go.clear()
        tasks = Tasks("test")
        address = "/v1/avatars/ani/idle.mp4"
        waiting = [tasks.start(client.get(address)) for _ in range(5)]
        await loops.began.wait()
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        loops.go.set()
        assert [(await each).status_code for each in waiting[1:]] == [200] * 4
        assert loops.started == 1
        loops.go.clear()
        loops.began.clear()
        waiting = [tasks.start(client.get(address)) for _ in range(2)]
        await loops.began.wait()
        for each in waiting:
            each.cancel()
        await loops.cancelled.wait()
        assert loops.started == 2


async def test_a_video_that_the_avatar_service_cannot_make_is_refused_at_once() -> None:
    async with site() as (_, __, client):
        for name, value in (
            ("width_px", 62),
            ("width_px", 1922),
            ("height_px", 4096),
            ("height_px", 65),
            ("frame_rate_hz", 9),
            ("frame_rate_hz", 120),
        ):
            body = {"text": "Hello?", "video": {name: value}}
            response = await client.post("/v1/ask?format=mp4", json=body)
            assert f"video.{name}" in problem(response, 422)


async def test_the_mesh_is_described_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    async with site() as (_, mesh, client):
        count = 0
        describe = mesh.describe

        async def counted() -> pb.DescribeMeshResponse:
            nonlocal count
            count += 1
            return await describe()

        loop = asyncio.get_running_loop()
        now_s = loop.time()
        monkeypatch.setattr(mesh, "describe", counted)
        monkeypatch.setattr("gateway.http.app._now_s", lambda: now_s)
        answers = await asyncio.gather(*(client.get("/v1/mesh") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        assert count == 1
        now_s += 1.1
        assert (await client.get("/v1/mesh")).json() == answers[0].json()
        assert count == 2


HEADERS = ("x-content-type-options", "cross-origin-resource-policy", "content-security-policy")


async def test_every_answer_carries_the_security_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with site() as (_, mesh, client):
        refused = {"sec-fetch-site": "cross-site"}

        async def fail() -> None:
            raise ZeroDivisionError("a fault of the gateway")

        with monkeypatch.context() as broken:
            broken.setattr(mesh, "describe", fail)
            failed = await client.get("/v1/mesh")
        assert failed.status_code == 500
        answers = [
            await client.get("/"),
            await client.get("/static/app.js"),
            await client.get("/static/none.js"),
            await client.get("/healthz"),
            await client.get("/readyz"),
            await client.get("/v1/mesh"),
            await client.get("/nowhere"),
            await client.get("/v1/ask"),
            await client.get("/v1/mesh", headers=refused),
            await client.get("/v1/mesh", headers={"host": "evil.test"}),
            await client.post("/v1/ask", content=b"{"),
            failed,
        ]

        for answer in answers:
            assert answer.headers["x-content-type-options"] == "nosniff", answer.url
            assert answer.headers["cross-origin-resource-policy"] == "same-origin", answer.url
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "script-src 'self'" in answers[0].headers["content-security-policy"]
        assert answers[5].headers["cache-control"] == "no-store"


async def test_no_slash_is_added_or_removed() -> None:
    async with site() as (_, __, client):
        for method, path in (
            ("DELETE", "/v1/memory/"),
            ("GET", "/v1/memory/"),
            ("GET", "/v1/mesh/"),
            ("POST", "/v1/ask/"),
            ("DELETE", "/v1/avatars/"),
            ("POST", "/v1/avatars/"),
            ("GET", "/static"),
            ("GET", "/healthz/"),
        ):
            assert problem(await client.request(method, path), 404), path
