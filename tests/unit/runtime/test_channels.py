"""Channels: their additions to a call; everything else is grpc.aio's own."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from anima.asr.v1 import DescribeEngineRequest, EndOfSpeech, RecognizeRequest
from services.runtime.calls.channels import call_metadata
from services.runtime.errors import Unavailable, error_from_rpc
from services.runtime.observing.tracing import OTLP_ENDPOINT
from tests.unit.runtime.tiny_service import (
    SERVICE,
    config_request,
    open_tiny_stream,
    tiny_server,
    tiny_stub,
    typed_stub,
)


def spans_in(path: Path) -> dict[str, dict[str, Any]]:
    """Returns the spans of a trace file by name."""
    spans = [json.loads(line) for line in path.read_text().splitlines()]
    return {span["name"]: span for span in spans}


async def test_stream_is_the_one_of_a_plain_channel() -> None:
    async with (
        tiny_server() as server,
        tiny_stub(server.address, token="t") as stub,
        grpc.aio.insecure_channel(server.address) as plain,
    ):
        call, plain_call = stub.Recognize(), typed_stub(plain).Recognize()
        assert type(call) is type(plain_call)
        call.cancel()
        plain_call.cancel()


async def test_stream_keeps_write_read_and_status() -> None:
    async with tiny_server() as server, tiny_stub(server.address, token="t") as stub:
        call: Any = stub.Recognize()
        await call.write(config_request())
        assert (await call.read()).WhichOneof("event") == "started"
        for _ in range(3):
            await call.write(RecognizeRequest(end_of_speech=EndOfSpeech()))
            assert (await call.read()).partial.text == "end_of_speech"
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() == grpc.StatusCode.OK


async def test_write_on_a_dead_stream() -> None:
    async with tiny_server() as server, tiny_stub(server.address) as stub:
        call: Any = stub.Recognize()
        await call.write(RecognizeRequest(end_of_speech=EndOfSpeech()))
        assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(config_request())


async def test_cancel_ends_a_pending_read() -> None:
    async with tiny_server() as server, tiny_stub(server.address) as stub:
        call = await open_tiny_stream(stub)
        reading = asyncio.create_task(call.read())
        await asyncio.wait({reading}, timeout=0.01)
        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await call.code() == grpc.StatusCode.CANCELLED


async def test_metadata_of_the_caller_is_kept() -> None:
    async with tiny_server(token="t") as server, tiny_stub(server.address, token="t") as stub:
        answer = await stub.DescribeEngine(DescribeEngineRequest(), metadata=(("x-own", "kept"),))
        assert answer.engine.version == "kept"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.DescribeEngine(
                DescribeEngineRequest(), metadata=(("authorization", "Bearer other"),)
            )
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_nobody_listening_is_unavailable() -> None:
    async with tiny_stub("127.0.0.1:1") as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.DescribeEngine(DescribeEngineRequest(), timeout=90)
        assert isinstance(error_from_rpc(caught.value), Unavailable)


async def test_failures_of_another_channel_are_not_inherited() -> None:
    async with tiny_server() as server:
        address = server.address
    async with tiny_stub(address) as early:
        with pytest.raises(grpc.aio.AioRpcError):
            await early.DescribeEngine(DescribeEngineRequest(), timeout=90)
        async with tiny_server(listen=address), tiny_stub(address) as late:
            described = await late.DescribeEngine(DescribeEngineRequest(), timeout=90)
            assert described.engine.name


async def test_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    async with tiny_server() as server, tiny_stub(server.address) as stub:
        await stub.DescribeEngine(DescribeEngineRequest(), timeout=90)


async def test_one_trace_from_the_caller_through_the_handler(tmp_path: Path) -> None:
    path = tmp_path / "traces" / "spans.jsonl"
    tracer = TracerProvider().get_tracer("test")
    async with tiny_server(trace_file=path) as server, tiny_stub(server.address) as stub:
        with tracer.start_as_current_span("turn") as turn:
            await stub.DescribeEngine(DescribeEngineRequest())
            call = await open_tiny_stream(stub)
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            await call.code()
    caller = turn.get_span_context()
    spans = spans_in(path)
    assert {span["trace_id"] for span in spans.values()} == {trace.format_trace_id(caller.trace_id)}
    stream = spans[f"{SERVICE}/Recognize"]
    assert stream["parent_id"] == trace.format_span_id(caller.span_id)
    assert stream["kind"] == "server"
    assert stream["service"] == "anima-tiny"
    assert stream["attributes"]["rpc.grpc.status_code"] == 0
    assert stream["end_unix_ns"] > stream["start_unix_ns"]
    assert spans["tiny work"]["parent_id"] == stream["span_id"]
    unary = spans[f"{SERVICE}/DescribeEngine"]
    assert unary["parent_id"] == trace.format_span_id(caller.span_id)


async def test_span_tells_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    async with tiny_server(trace_file=path) as server, tiny_stub(server.address) as stub:
        await stub.Recognize(iter([config_request("precondition")])).code()
    span = spans_in(path)[f"{SERVICE}/Recognize"]
    assert span["status"] == "error"
    assert span["attributes"]["rpc.grpc.status_code"] == 9  # FAILED_PRECONDITION


async def test_otlp_endpoint_without_the_extra_only_warns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(OTLP_ENDPOINT, "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    async with tiny_server() as server, tiny_stub(server.address) as stub:
        await stub.DescribeEngine(DescribeEngineRequest())
    assert "pip install 'anima[otlp]'" in capsys.readouterr().out


def test_call_metadata_carries_token_and_trace() -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("turn") as span:
        metadata = dict(call_metadata("t", {"x": "y"}))
    assert metadata["authorization"] == "Bearer t"
    assert metadata["x"] == "y"
    assert trace.format_trace_id(span.get_span_context().trace_id) in metadata["traceparent"]
