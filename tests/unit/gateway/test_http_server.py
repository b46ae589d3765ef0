"""The HTTP server next to the gRPC server: its end is reported."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from starlette.applications import Starlette

from gateway.http.server import HttpServer
from gateway.settings import GatewaySettings

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
