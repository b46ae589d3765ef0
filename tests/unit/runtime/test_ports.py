"""What somebody without the token can hold at the ports of a service."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import httpx
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from services.runtime.calls.channels import open_channel
from tests.unit.runtime.tiny_service import tiny_server


async def test_connection_that_never_becomes_http2_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.runtime.server.HANDSHAKE_TIMEOUT_MS", 300)
    async with tiny_server() as server, asyncio.timeout(90):
        reader, writer = await asyncio.open_connection(*server.address.split(":"))
        while await reader.read(1000):  # the server may speak first
            pass
        writer.close()


async def test_connection_without_a_call_is_closed_and_the_next_call_opens_another() -> None:
    async with (
        tiny_server(max_connection_idle_s=1) as server,
        open_channel(server.address) as channel,
        asyncio.timeout(90),
    ):
        await channel.channel_ready()
        state = grpc.ChannelConnectivity.READY
        assert channel.get_state() is state
        await channel.wait_for_state_change(state)
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_connections_beyond_the_most_are_closed() -> None:
    async with tiny_server(max_connections=3) as server, asyncio.timeout(90):
        host, port = server.address.split(":")
        opened = [await asyncio.open_connection(host, port) for _ in range(6)]
        closed = [asyncio.create_task(_until_closed(reader)) for reader, _ in opened]
        await asyncio.wait(closed, return_when=asyncio.FIRST_COMPLETED)
        assert not all(task.done() for task in closed)
        for task in closed:
            task.cancel()
        await asyncio.wait(closed)
        for _, writer in opened:
            writer.close()


async def _until_closed(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(1000):
            pass


async def test_health_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.runtime.calls.interceptor.MOST_PROBES", 2)
    async with (
        asyncio.timeout(90),
        tiny_server() as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        watching = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(2)]
        for call in watching:
            await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Check(health_pb2.HealthCheckRequest())
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        watching[0].cancel()
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.Check(health_pb2.HealthCheckRequest())
                break


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9100", 200),
        ("10.1.2.3", 200),
        ("[fd00::1]:9100", 200),
        ("localhost:9100", 200),
        ("prometheus.Example", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example:9100", 400),
        ("evil.example@localhost", 400),
        ("localhost/evil.example", 400),
        ("[", 400),
        ("", 400),
    ],
)
async def test_metrics_are_not_for_pages_with_a_name_of_their_own(host: str, status: int) -> None:
    hosts = ("Prometheus.example",)
    async with (
        tiny_server(metrics_listen="127.0.0.1:0", metrics_hosts=hosts) as server,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        address = f"http://{server.metrics_address}/metrics"
        answer = await client.get(address, headers={"host": host})
    assert answer.status_code == status
    assert ("anima_capacity" in answer.text) is (status == 200)


async def test_idle_connections_to_the_metrics_page_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.runtime.observing.metrics_page._REQUEST_TIMEOUT_S", 0.3)
    async with tiny_server(metrics_listen="127.0.0.1:0") as server, asyncio.timeout(90):
        assert server.metrics_address is not None
        host, port = server.metrics_address.split(":")
        idle = [await asyncio.open_connection(host, port) for _ in range(40)]
        for reader, _ in idle:
            await _until_closed(reader)
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://{server.metrics_address}/metrics")
        assert answer.status_code == 200
        for _, writer in idle:
            writer.close()


async def test_a_metrics_page_that_others_can_reach_is_warned_of() -> None:
    with structlog.testing.capture_logs() as lines:
        async with tiny_server(metrics_listen="0.0.0.0:0"):
            pass
        async with tiny_server(metrics_listen="127.0.0.1:0"):
            pass
    warnings = [line["event"] for line in lines if "metrics page" in line["event"]]
    assert warnings == ["the metrics page asks for no token; let only Prometheus reach it"]
