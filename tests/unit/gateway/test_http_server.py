"""The HTTP server next to the gRPC server: its end is reported."""

from __future__ import annotations

import asyncio
import logging

import pytest
import uvicorn
import websockets
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from structlog.testing import capture_logs

from gateway.http.guard import HttpGuard
from gateway.http.server import HttpServer
from gateway.settings import GatewaySettings
from services.runtime.identity.verifier import OpenVerifier

SETTINGS = GatewaySettings(http_listen="127.0.0.1:0")


async def test_gateway_is_not_ready_when_its_http_server_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(server: uvicorn.Server) -> None:
        raise ZeroDivisionError("a fault of the server")

    monkeypatch.setattr(uvicorn.Server, "main_loop", fail)
    reasons: list[str] = []

    async def report(reason: str) -> None:
        reasons.append(reason)

    server = HttpServer(Starlette(), SETTINGS)
    await server.start()
    async with asyncio.timeout(90):
        await server.watch(report)
    assert reasons == ["the HTTP server of the gateway has ended"]
    await server.stop()


async def test_http_server_that_is_stopped_reports_nothing() -> None:
    reasons: list[str] = []

    async def report(reason: str) -> None:
        reasons.append(reason)

    server = HttpServer(Starlette(), SETTINGS)
    await server.start()
    watching = asyncio.create_task(server.watch(report))
    async with asyncio.timeout(90):
        await server.stop()
        await watching
    assert reasons == []


async def test_text_that_is_not_utf8_is_no_error_of_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def listen(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive()

    server = HttpServer(Starlette(routes=[WebSocketRoute("/", listen)]), SETTINGS)
    await server.start()
    with caplog.at_level(logging.INFO):
        async with websockets.connect(f"ws://{server.address}/") as client:
            await client.send(b"\xff\xfe", text=True)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    await server.stop()


async def test_a_refused_websocket_is_one_line_of_the_guard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard = HttpGuard(Starlette(), settings=SETTINGS, verifier=OpenVerifier())
    server = HttpServer(guard, SETTINGS)
    await server.start()
    url = f"ws://{server.address}/v1/realtime"
    with capture_logs() as lines, caplog.at_level(logging.INFO, logger="uvicorn.error"):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(url, origin=websockets.Origin("http://evil.example"))
        await server.stop()  # the task of the handshake has ended
    assert refused.value.response.status_code == 403
    assert [line["event"] for line in lines] == ["request refused"]
    assert not [each for each in caplog.records if "403" in each.getMessage()]
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]
