"""Which pages and clients the WebSocket accepts."""

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest
import websockets
from structlog.testing import capture_logs

from gateway.realtime.limits import EdgeLimits
from testing.fakes.mesh import FakeMesh
from tests.unit.web.clients import Page, serving_page
from tests.unit.web.test_client_events import SURROGATES


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://["])
async def test_other_origins_are_refused(page: Page, origin: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with page.client(additional_headers={"origin": origin}):
            pass

    assert refused.value.response.status_code == 403


async def test_refused_handshake_carries_the_security_headers(page: Page) -> None:
    for headers in ({"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with page.client(additional_headers=headers):
                pass
        assert refused.value.response.status_code == 403
        assert refused.value.response.headers["x-content-type-options"] == "nosniff"
        assert refused.value.response.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("text", SURROGATES)
async def test_connection_lives_on_after_half_of_a_surrogate_pair(page: Page, text: str) -> None:
    async with page.client() as client:
        await client.until("session.created")
        await client.socket.send(text)
        assert "surrogate" in (await client.until("error"))["error"]["message"]
        await client.configure(language="en")
        await client.until("session.updated")


async def test_own_origin_is_accepted(page: Page) -> None:
    async with page.client(additional_headers={"origin": f"http://{page.address}"}) as client:
        await client.until("session.created")


@pytest.mark.parametrize("host", ["anima.example", "Anima.Example"])
async def test_host_names_that_are_set_are_accepted_in_any_case(
    stages: FakeMesh, host: str
) -> None:
    async with (
        stages.mesh(http_hosts=("Anima.Example",)) as mesh,
        serving_page(mesh) as page,
        page.client(host=host) as client,
    ):
        await client.until("session.created")


async def test_other_host_is_refused(page: Page) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with page.client(host="evil.example"):
            pass

    assert refused.value.response.status_code == 400
    assert b"ANIMA_GATEWAY_HTTP_HOSTS" in (refused.value.response.body or b"")


async def test_sockets_that_never_name_the_token_take_no_place_of_a_page(
    stages: FakeMesh,
) -> None:
    async with (
        stages.mesh(token="secret", stage_token="", capacity=1, http_unauthenticated=8) as mesh,
        serving_page(mesh, EdgeLimits(authenticate_timeout_s=600)) as page,
        AsyncExitStack() as sockets,
    ):
        for _ in range(20):
            await sockets.enter_async_context(page.client())
        for _ in range(4):  # as many as one place allows
            owner = await sockets.enter_async_context(page.client())
            await owner.send({"type": "anima.authenticate", "token": "secret"})
            await owner.until("session.created")
        for _ in range(20):
            await sockets.enter_async_context(page.client())
        await owner.configure(language="en")
        await owner.until("session.updated")
        fifth = await sockets.enter_async_context(page.client())
        await fifth.send({"type": "anima.authenticate", "token": "secret"})
        assert await fifth.closed() == (1013, "all 4 places for pages are taken; try again")


async def test_a_page_that_nobody_uses_gives_its_place_to_another(
    stages: FakeMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.realtime.visit.LEFT_S", 0.0)
    stages.llm.stuck = True
    async with (
        stages.mesh(capacity=1) as mesh,
        serving_page(mesh) as page,
        AsyncExitStack() as sockets,
    ):
        first = await sockets.enter_async_context(page.client())
        await first.ask("Hello?")
        await first.until("response.created")
        others = [await sockets.enter_async_context(page.client()) for _ in range(6)]
        await others[-1].until("session.created")
        for each in others[:3]:
            assert await each.closed() == (1013, "another page needs the place of this one")
        # Who converses keeps the place.
        await first.send({"type": "response.cancel"})
        await first.until("response.done")


async def test_a_large_message_before_the_token_is_not_read(stages: FakeMesh) -> None:
    async with (
        stages.mesh(token="secret", stage_token="") as mesh,
        serving_page(mesh) as page,
    ):
        async with page.client() as stranger:
            await stranger.send({"type": "anima.authenticate", "token": "x" * 100_000})
            assert (await stranger.closed())[0] == 1009
        async with page.client() as owner:
            await owner.send({"type": "anima.authenticate", "token": "secret"})
            await owner.until("session.created")
            await owner.send({"type": "x" * 100_000})
            await owner.until("error")


async def test_token_is_demanded(stages: FakeMesh) -> None:
    async with (
        stages.mesh(token="secret", stage_token="") as mesh,
        serving_page(mesh, EdgeLimits(authenticate_timeout_s=0.2)) as page,
    ):
        async with page.client() as silent:
            assert (await silent.closed())[0] == 4401
        async with page.client() as wrong:
            await wrong.send({"type": "anima.authenticate", "token": "guess"})
            assert (await wrong.closed())[0] == 4401
        async with page.client() as right:
            await right.send({"type": "anima.authenticate", "token": "secret"})
            await right.until("session.created")
        header = {"authorization": "Bearer secret"}
        async with page.client(additional_headers=header) as program:
            await program.until("session.created")


async def test_text_that_is_not_utf8_ends_a_connection_quietly(
    page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as logs:
        for _ in range(10):
            async with page.client() as client:
                await client.ask("What can you do?")
                # Their errors wait to be sent when the server closes the connection itself.
                events = [client.send({"type": "nothing"}) for _ in range(20)]
                await asyncio.gather(*events, client.socket.send(b"\xff\xfe", text=True))
                code, _ = await client.closed()
                assert code == 1007
    assert not [entry for entry in logs if entry["log_level"] in ("error", "critical")]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
