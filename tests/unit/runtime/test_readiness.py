"""A service that fails after its warm-up and comes back."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from services.runtime.server import Server, serving
from tests.unit.runtime.test_serving import (
    LOOPBACK,
    NOT_SERVING,
    SERVING,
    describe,
    health_of,
)
from tests.unit.runtime.tiny_service import SERVICE, open_tiny_stream, tiny_stage, tiny_stub

Report = Callable[[str], Awaitable[None]]


async def reach(server: Server, status: int) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        async for seen in health_pb2_grpc.HealthStub(channel).Watch(request):
            if seen.status == status:
                return


async def test_readiness_follows_what_the_stage_reports() -> None:
    news: asyncio.Queue[str] = asyncio.Queue()

    async def watch(report: Report) -> None:
        while True:
            await report(await news.get())

    stage = dataclasses.replace(tiny_stage(), watch=watch)
    async with serving(stage, LOOPBACK) as server:
        await server.ready
        await describe(server.address)
        news.put_nowait("the engine is dead")
        await reach(server, NOT_SERVING)
        with pytest.raises(grpc.aio.AioRpcError, match="the engine is dead") as caught:
            await describe(server.address)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        news.put_nowait("")
        await reach(server, SERVING)
        await describe(server.address)


class Wait:
    """The event that a service waits for before it is ready."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.over = asyncio.Event()

    async def until_ready(self) -> None:
        self.began.set()
        await self.over.wait()


async def test_calls_are_served_while_a_service_waits_to_be_ready() -> None:
    wait = Wait()
    stage = dataclasses.replace(tiny_stage(), until_ready=wait.until_ready)
    async with serving(stage, LOOPBACK) as server:
        await wait.began.wait()
        await describe(server.address)
        assert await health_of(server.address, SERVICE) == NOT_SERVING
        assert not server.ready.done()
        wait.over.set()
        await server.ready
        assert await health_of(server.address, SERVICE) == SERVING


async def test_a_service_that_drains_does_not_become_ready() -> None:
    wait = Wait()
    stage = dataclasses.replace(tiny_stage(), until_ready=wait.until_ready)
    async with serving(stage, LOOPBACK) as server:
        await wait.began.wait()
        with structlog.testing.capture_logs() as logs:
            await server.drain(0)
            wait.over.set()
            await server.ready
        assert "ready" not in [entry["event"] for entry in logs]


async def test_a_watch_that_fails_is_not_taken_for_health() -> None:
    async def watch(report: Report) -> None:
        raise RuntimeError("broken")

    async with serving(dataclasses.replace(tiny_stage(), watch=watch), LOOPBACK) as server:
        await server.ready
        await reach(server, NOT_SERVING)


async def test_a_report_does_not_end_a_drain() -> None:
    news: asyncio.Queue[str] = asyncio.Queue()
    told = asyncio.Event()

    async def watch(report: Report) -> None:
        await report(await news.get())
        told.set()

    stage = dataclasses.replace(tiny_stage(), watch=watch)
    async with serving(stage, LOOPBACK) as server:
        await server.ready
        async with (
            tiny_stub(server.address) as stub,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            request = health_pb2.HealthCheckRequest(service=SERVICE)
            health = health_pb2_grpc.HealthStub(channel).Watch(request)
            assert (await health.read()).status == SERVING
            call = await open_tiny_stream(stub)
            draining = asyncio.create_task(server.drain(5))
            assert (await health.read()).status == NOT_SERVING
            news.put_nowait("")
            await told.wait()
            call.cancel()
            await draining
            with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
                raise AssertionError(await health.read())
