"""Health, readiness, drain, admission, size and age of a served stage."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import (  # type: ignore[import-untyped]
    reflection_pb2,
    reflection_pb2_grpc,
)
from prometheus_client import REGISTRY, Gauge

from anima.asr.v1 import DescribeEngineRequest, EndOfSpeech, RecognizeRequest
from anima.common.v1 import AudioChunk
from services.runtime.config.settings import SettingsError
from services.runtime.errors import (
    TOO_LARGE_REASON,
    Busy,
    FailedPrecondition,
    InvalidRequest,
    Unavailable,
    error_from_rpc,
)
from services.runtime.server import serving
from tests.unit.runtime.tiny_service import (
    SERVICE,
    TinyServicer,
    TinySettings,
    config_request,
    open_tiny_stream,
    tiny_server,
    tiny_stage,
    tiny_stub,
    typed_stub,
)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
LOOPBACK = TinySettings(listen="127.0.0.1:0")


async def health_of(address: str, service: str) -> int:
    async with grpc.aio.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        status: int = (await health_pb2_grpc.HealthStub(channel).Check(request)).status
        return status


async def describe(address: str) -> None:
    async with tiny_stub(address) as stub:
        await stub.DescribeEngine(DescribeEngineRequest())


async def test_calls_are_unavailable_until_warm_up_has_finished() -> None:
    go = asyncio.Event()

    async def warm_up() -> None:
        await go.wait()

    async with serving(tiny_stage(warm_up=warm_up), LOOPBACK) as server:
        assert await health_of(server.address, "") == SERVING
        assert await health_of(server.address, SERVICE) == NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await describe(server.address)
        error = error_from_rpc(caught.value)
        assert isinstance(error, Unavailable)
        assert error.reason == "WARMING_UP"
        assert "still warming up" in error.message
        go.set()
        await server.ready
        assert await health_of(server.address, SERVICE) == SERVING
        await describe(server.address)


async def test_channel_that_watches_health_waits_for_the_warm_up() -> None:
    go = asyncio.Event()

    async def warm_up() -> None:
        await go.wait()

    async with (
        serving(tiny_stage(warm_up=warm_up), LOOPBACK) as server,
        tiny_stub(server.address, health_service=SERVICE) as stub,
    ):
        call = stub.DescribeEngine(DescribeEngineRequest(), wait_for_ready=True, timeout=90)
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.DescribeEngine(DescribeEngineRequest(), timeout=90)
        assert not call.done()
        go.set()
        await call


async def test_failed_warm_up_is_told() -> None:
    async def warm_up() -> None:
        raise FailedPrecondition("model x is missing; run: anima models pull x")

    async with serving(tiny_stage(warm_up=warm_up), LOOPBACK) as server:
        with pytest.raises(FailedPrecondition, match="anima models pull x"):
            await server.ready
        assert await health_of(server.address, SERVICE) == NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError, match="could not warm up"):
            await describe(server.address)


async def test_drain_lets_an_open_stream_finish_and_takes_no_new_call() -> None:
    async with (
        tiny_server() as server,
        tiny_stub(server.address) as stub,
        grpc.aio.insecure_channel(server.address) as watching,
    ):
        watch = health_pb2_grpc.HealthStub(watching).Watch(
            health_pb2.HealthCheckRequest(service=SERVICE)
        )
        assert (await watch.read()).status == SERVING
        call = await open_tiny_stream(stub)
        draining = asyncio.create_task(server.drain(grace_s=20))
        assert (await watch.read()).status == NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await describe(server.address)
        # A call that comes too late even for the refusal is CANCELLED by gRPC itself (on a busy
        # machine, this one); for our clients that is the same.
        assert isinstance(error_from_rpc(caught.value), Unavailable)
        await call.write(RecognizeRequest(end_of_speech=EndOfSpeech()))
        assert (await call.read()).partial.text == "end_of_speech"
        assert not draining.done()
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() == grpc.StatusCode.OK
        # well under the 20 s: the watch of the health, which never ends, does not hold the drain
        await asyncio.wait_for(draining, 90)


async def test_drain_waits_for_conversations_over_other_protocols() -> None:
    waiting, over = asyncio.Event(), asyncio.Event()

    async def until_idle() -> None:
        waiting.set()
        await over.wait()

    stage = replace(tiny_stage(), until_idle=until_idle)
    async with tiny_server(stage) as server:
        draining = asyncio.create_task(server.drain(grace_s=3600))
        await waiting.wait()
        assert not draining.done()
        over.set()
        await draining


async def test_drain_waits_for_other_protocols_no_longer_than_its_grace() -> None:
    async def until_idle() -> None:
        await asyncio.Event().wait()

    async with tiny_server(replace(tiny_stage(), until_idle=until_idle)) as server:
        await server.drain(grace_s=0.2)


async def test_calls_on_their_way_while_the_door_closes_are_told_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.runtime.server.DOOR_S", 1.0)  # also on a busy machine
    async with tiny_server() as server, tiny_stub(server.address) as stub:
        call = await open_tiny_stream(stub)
        draining = asyncio.create_task(server.drain(grace_s=20))
        refusals = [stub.DescribeEngine(DescribeEngineRequest()) for _ in range(20)]
        reasons = set()
        for refusal in refusals:
            try:
                await refusal
                reasons.add("served")  # It was there before the door began to close.
            except grpc.aio.AioRpcError as error:
                reasons.add(error_from_rpc(error).reason)
        assert reasons <= {"served", "DRAINING"}
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        await asyncio.wait_for(draining, 90)


async def test_drain_cuts_a_stream_that_outlives_its_grace() -> None:
    servicer = TinyServicer()
    async with tiny_server(tiny_stage(servicer)) as server, tiny_stub(server.address) as stub:
        call = await open_tiny_stream(stub)
        await server.drain(grace_s=0.1)
        assert await call.code() == grpc.StatusCode.UNAVAILABLE
        await asyncio.wait_for(servicer.closed.wait(), 90)


async def test_full_service_says_when_to_try_again() -> None:
    async with (
        tiny_server(capacity=1) as server,
        tiny_stub(server.address) as stub,
    ):
        first = await open_tiny_stream(stub)
        second = stub.Recognize(iter([config_request()]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await second.read()
        error = error_from_rpc(caught.value)
        assert isinstance(error, Busy)
        assert error.retry_after_ms == 1000
        assert error.reason == "CAPACITY"
        assert error.metadata == {"capacity": "1"}
        await stub.DescribeEngine(DescribeEngineRequest())  # takes no place
        await first.done_writing()
        assert await first.read() is grpc.aio.EOF
        third = await open_tiny_stream(stub)
        third.cancel()


async def test_cancelled_stream_gives_its_place_back_at_once() -> None:
    servicer = TinyServicer()
    async with (
        tiny_server(tiny_stage(servicer), capacity=1) as server,
        tiny_stub(server.address) as stub,
    ):
        call = await open_tiny_stream(stub)
        call.cancel()
        await asyncio.wait_for(servicer.closed.wait(), 90)
        again = await open_tiny_stream(stub)
        again.cancel()


async def test_oversized_message_is_refused_and_the_service_lives_on() -> None:
    async with (
        tiny_server(max_message_bytes=4096) as server,
        tiny_stub(server.address, max_message_bytes=1 << 20) as stub,
    ):
        call = await open_tiny_stream(stub)
        await call.write(RecognizeRequest(audio=AudioChunk(pcm=bytes(8192))))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        error = error_from_rpc(caught.value)
        assert isinstance(error, InvalidRequest)  # it would be refused again
        assert error.reason == TOO_LARGE_REASON
        assert "4096" in error.message
        await stub.DescribeEngine(DescribeEngineRequest())


async def test_stream_outlives_the_age_of_its_connection() -> None:
    async with (
        tiny_server(max_connection_age_s=0.3) as server,
        tiny_stub(server.address) as stub,
    ):
        call: Any = stub.Recognize()
        await call.write(config_request())
        first_peer = (await call.read()).started.language
        async with asyncio.timeout(90):
            while True:
                await call.write(RecognizeRequest(end_of_speech=EndOfSpeech()))
                assert (await call.read()).partial.text == "end_of_speech"
                answer = await stub.DescribeEngine(DescribeEngineRequest())
                if answer.engine.name != first_peer:
                    break
        await call.write(RecognizeRequest(end_of_speech=EndOfSpeech()))
        assert (await call.read()).partial.text == "end_of_speech"
        call.cancel()


async def test_reflection_lists_the_service_and_health_or_is_off() -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async with (
        tiny_server() as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        async for answer in stub.ServerReflectionInfo(iter([request])):
            names = {service.name for service in answer.list_services_response.service}
        assert {SERVICE, "grpc.health.v1.Health"} <= names
    async with (
        tiny_server(reflection=False) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(iter([request]))
        assert await call.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_second_server_on_the_same_port_is_refused() -> None:
    async with tiny_server() as server:
        taken = TinySettings(listen=server.address)
        with pytest.raises(SettingsError, match="ANIMA_TINY_LISTEN: cannot listen on 127"):
            async with serving(tiny_stage(), taken):
                pass


async def test_stage_is_closed_after_the_last_handler_has_ended() -> None:
    servicer = TinyServicer()
    ended_before_close: list[bool] = []

    async def close() -> None:
        ended_before_close.append(servicer.closed.is_set())

    async with tiny_server(tiny_stage(servicer, close=close)) as server:
        channel = grpc.aio.insecure_channel(server.address)
        await open_tiny_stream(typed_stub(channel))
    assert ended_before_close == [True]
    await channel.close()


async def test_metrics_are_served() -> None:
    async with (
        tiny_server(capacity=1, metrics_listen="127.0.0.1:0") as server,
        tiny_stub(server.address) as stub,
        httpx.AsyncClient(trust_env=False) as http,
    ):

        async def metrics() -> str:
            return (await http.get(f"http://{server.metrics_address}/metrics")).text

        labels = f'method="Recognize",service="{SERVICE}"'
        call = await open_tiny_stream(stub)
        text = await metrics()
        assert f'anima_capacity{{service="{SERVICE}"}} 1.0' in text
        assert f'anima_draining{{service="{SERVICE}"}} 0.0' in text
        # Not missing before the first refusal: an autoscaler could not add it to the demand.
        assert f"anima_rejected_total{{{labels}}} 0.0" in text
        assert f"anima_active_streams{{{labels}}} 1.0" in text
        assert f"anima_first_response_seconds_count{{{labels}}} 1.0" in text
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Recognize(iter([config_request()])).read()
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        await call.code()
        text = await metrics()
        assert f"anima_rejected_total{{{labels}}} 1.0" in text
        assert f"anima_active_streams{{{labels}}} 0.0" in text
        assert f"anima_stream_seconds_count{{{labels}}} 2.0" in text
        code_labels = f'method="Recognize",service="{SERVICE}"'
        assert f'anima_calls_total{{code="OK",{code_labels}}} 1.0' in text
        assert f'anima_calls_total{{code="RESOURCE_EXHAUSTED",{code_labels}}} 1.0' in text
        assert f'anima_messages_total{{direction="sent",{labels}}} 1.0' in text
        assert "Health" not in text
        await server.drain(grace_s=0)
        assert f'anima_draining{{service="{SERVICE}"}} 1.0' in await metrics()


async def test_what_a_stage_measures_of_itself_is_served_too() -> None:
    own = Gauge("tiny_of_its_own", "What a part of a stage measures.")
    own.set(7)
    try:
        async with (
            tiny_server(metrics_listen="127.0.0.1:0") as server,
            httpx.AsyncClient(trust_env=False) as http,
        ):
            text = (await http.get(f"http://{server.metrics_address}/metrics")).text
    finally:
        REGISTRY.unregister(own)
    assert "tiny_of_its_own 7.0" in text
    assert text.count("# HELP process_resident_memory_bytes") == 1


async def test_taken_metrics_port_is_refused() -> None:
    async with tiny_server(metrics_listen="127.0.0.1:0") as server:
        with pytest.raises(SettingsError, match="ANIMA_METRICS_LISTEN: cannot listen"):
            async with tiny_server(metrics_listen=server.metrics_address):
                pass
