"""The caller's view: statuses, the check of the token, and no internal details of errors."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
import structlog
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import (  # type: ignore[import-untyped]
    reflection_pb2,
    reflection_pb2_grpc,
)

from anima.asr.v1 import (
    AsrServiceServicer,
    DescribeEngineRequest,
    add_AsrServiceServicer_to_server,
)
from services.runtime.errors import (
    DETAILS_KEY,
    AnimaError,
    FailedPrecondition,
    InternalError,
    InvalidRequest,
    NotFound,
    Unauthenticated,
    Unavailable,
    error_from_rpc,
)
from services.runtime.limits.progress import StreamLimits, same_limits
from services.runtime.server import Stage
from tests.unit.runtime.tiny_service import (
    SECRET,
    SERVICE,
    config_request,
    nothing,
    open_tiny_stream,
    tiny_server,
    tiny_stub,
    typed_stub,
)


async def failure(address: str, how: str, *, stream: bool) -> grpc.aio.AioRpcError:
    """Returns how a unary call or a stream fails that asks for a failure."""
    async with tiny_stub(address) as stub:
        answer = (
            stub.Recognize(iter([config_request(how)])).read()
            if stream
            else stub.DescribeEngine(DescribeEngineRequest(), metadata=(("fail", how),))
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answer
    return caught.value


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("how", "expected", "message"),
    [
        ("group", NotFound, "config.language: no voice for tlh"),
        ("precondition", FailedPrecondition, "model x is missing"),
        ("child", Unavailable, "a service behind this one failed: UNAVAILABLE"),
        ("unknown", InternalError, "internal error"),
    ],
)
async def test_errors_arrive_as_their_status(
    how: str, expected: type[AnimaError], message: str, stream: bool
) -> None:
    async with tiny_server() as server:
        rpc_error = await failure(server.address, how, stream=stream)
    assert rpc_error.code() == expected.code
    error = error_from_rpc(rpc_error)
    assert type(error) is expected
    assert error.message.startswith(message)
    details = dict(rpc_error.trailing_metadata() or ())[DETAILS_KEY]
    info = ErrorInfo()
    assert Status.FromString(details).details[0].Unpack(info)
    assert info.domain == "anima.dev"
    assert info.reason == error.reason


async def test_metadata_of_an_error_travels() -> None:
    async with tiny_server() as server:
        error = error_from_rpc(await failure(server.address, "precondition", stream=True))
    assert error.metadata == {"model": "x"}


@pytest.mark.parametrize("stream", [False, True])
async def test_unknown_exceptions_are_logged_and_not_told(stream: bool) -> None:
    with structlog.testing.capture_logs() as logs:
        async with tiny_server() as server:
            rpc_error = await failure(server.address, "unknown", stream=stream)
    assert SECRET not in str(rpc_error) + str(rpc_error.trailing_metadata())
    logged = [entry for entry in logs if entry["event"] == "call failed"]
    assert len(logged) == 1
    assert SECRET in str(logged[0]["exc_info"])


async def test_status_of_the_handler_itself_is_kept() -> None:
    async with tiny_server() as server:
        rpc_error = await failure(server.address, "abort", stream=True)
    assert rpc_error.code() == grpc.StatusCode.DATA_LOSS
    assert rpc_error.details() == "said by the handler"


async def test_long_text_is_cut_to_what_trailers_can_carry() -> None:
    async with tiny_server() as server:
        rpc_error = await failure(server.address, "long", stream=True)
    assert rpc_error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert (rpc_error.details() or "").startswith("config.language: üü")


async def test_method_that_is_not_implemented() -> None:
    # the generated base class: what a servicer of an older release has for newer methods
    unfinished: Any = AsrServiceServicer
    stage = Stage(
        service=SERVICE,
        add_to_server=lambda server: add_AsrServiceServicer_to_server(unfinished(), server),
        warm_up=nothing,
        counted_methods=frozenset(),
        limits=same_limits(SERVICE, StreamLimits()),
        close=nothing,
    )
    async with tiny_server(stage) as server, tiny_stub(server.address) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.DescribeEngine(DescribeEngineRequest())
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        call = stub.Recognize(iter([config_request()]))
        assert await call.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_unknown_method_is_unimplemented() -> None:
    async with (
        tiny_server() as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        call: Any = channel.unary_unary(f"/{SERVICE}/Sing")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"")
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    "garbage", [b"\xff\xff\xff\xff", b"\x0a\x03\x0a\x01\xff"], ids=["bytes", "not UTF-8"]
)
async def test_message_that_cannot_be_decoded(garbage: bytes) -> None:
    async with tiny_server() as server, grpc.aio.insecure_channel(server.address) as channel:
        stream: Any = channel.stream_stream(f"/{SERVICE}/Recognize")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream(iter([garbage])).read()
        error = error_from_rpc(caught.value)
        assert isinstance(error, InvalidRequest)
        assert error.reason == "UNDECODABLE"
        unary: Any = channel.unary_unary(f"/{SERVICE}/DescribeEngine")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary(b"\xff\xff\xff\xff")
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "cannot be decoded" in (caught.value.details() or "")


async def test_cancel_reaches_the_handler_as_cancelled() -> None:
    async with (
        tiny_server(metrics_listen="127.0.0.1:0") as server,
        tiny_stub(server.address) as stub,
    ):
        call = await open_tiny_stream(stub)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call.read()
        assert await call.code() == grpc.StatusCode.CANCELLED
        await stub.DescribeEngine(DescribeEngineRequest())


@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer wrong", "swordfish", "Basic swordfish", "Bearer", "Bearer swordfish2"],
)
async def test_wrong_token_is_refused(authorization: str | None) -> None:
    metadata = (("authorization", authorization),) if authorization else ()
    async with (
        tiny_server(token="swordfish") as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub: Any = typed_stub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.DescribeEngine(DescribeEngineRequest(), metadata=metadata)
        error = error_from_rpc(caught.value)
        assert isinstance(error, Unauthenticated)
        assert "swordfish" not in error.message
        call = stub.Recognize(iter([config_request()]), metadata=metadata)
        assert await call.code() == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("second", ["Bearer swordfish", "Bearer wrong"])
async def test_two_tokens_are_refused(second: str) -> None:
    metadata = (("authorization", second), ("authorization", "Bearer swordfish"))
    for token in ("swordfish", None):
        async with (
            tiny_server(token=token) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError, match="more than once") as caught:
                await typed_stub(channel).DescribeEngine(DescribeEngineRequest(), metadata=metadata)
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_right_token_health_and_reflection() -> None:
    async with (
        tiny_server(token="swordfish") as server,
        tiny_stub(server.address, token="swordfish", health_service=SERVICE) as stub,
        grpc.aio.insecure_channel(server.address) as without_token,
    ):
        await stub.DescribeEngine(DescribeEngineRequest())
        call = await open_tiny_stream(stub)
        call.cancel()
        health = health_pb2_grpc.HealthStub(without_token)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(without_token)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        refused = reflection.ServerReflectionInfo(iter([request]))
        assert await refused.code() == grpc.StatusCode.UNAUTHENTICATED
