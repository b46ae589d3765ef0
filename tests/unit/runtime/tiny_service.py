"""A small real service for the tests of the runtime.

The language of the config selects its behaviour.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import grpc

from anima.asr.v1 import (
    AsrServiceServicer,
    AsrServiceStub,
    DescribeEngineRequest,
    DescribeEngineResponse,
    RecognizeConfig,
    RecognizeRequest,
    RecognizeResponse,
    Started,
    Transcript,
    add_AsrServiceServicer_to_server,
)
from anima.common.v1 import EngineInfo
from services.runtime.calls.channels import open_channel
from services.runtime.calls.streams import open_stream
from services.runtime.config.settings import ServiceSettings
from services.runtime.errors import FailedPrecondition, InvalidRequest, NotFound
from services.runtime.limits.progress import StreamLimits
from services.runtime.observing.tracing import tracer
from services.runtime.server import Server, Stage, serving

if TYPE_CHECKING:  # the stub's awaitable form exists for type checkers only
    from anima.asr.v1.asr_pb2_grpc import AsrServiceAsyncStub

SERVICE = "anima.asr.v1.AsrService"
NO_LIMITS = StreamLimits()
SECRET = "the password is swordfish"


class TinySettings(ServiceSettings):
    """The settings of the tiny service."""

    stage = "tiny"
    default_port = 50999

    fail: bool = False


class TinyServicer(AsrServiceServicer):
    """Echoes the turn of every message; fails in the way that the config's language names."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def Recognize(  # noqa: N802
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[RecognizeResponse]:
        config, requests = await open_stream(request_iterator)
        await self._fail(config.language, context)
        try:
            with tracer().start_as_current_span("tiny work"):
                yield RecognizeResponse(started=Started(language=context.peer()))
            async for request in requests:
                text = request.WhichOneof("message")
                yield RecognizeResponse(partial=Transcript(text=text))
        finally:
            self.closed.set()

    async def DescribeEngine(  # noqa: N802
        self, request: DescribeEngineRequest, context: Any
    ) -> DescribeEngineResponse:
        metadata = dict(context.invocation_metadata())
        await self._fail(metadata.get("fail", ""), context)
        return DescribeEngineResponse(
            engine=EngineInfo(name=context.peer(), version=metadata.get("x-own", ""))
        )

    async def _fail(self, how: str, context: Any) -> None:
        match how:
            case "unknown":
                raise ValueError(SECRET)
            case "group":
                async with asyncio.TaskGroup() as group:
                    group.create_task(_raise(NotFound("config.language: no voice for tlh")))
            case "precondition":
                raise FailedPrecondition("model x is missing", metadata={"model": "x"})
            case "long":
                raise InvalidRequest("config.language: " + "ü" * 20_000)
            case "abort":
                await context.abort(grpc.StatusCode.DATA_LOSS, "said by the handler")
            case "child":
                async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
                    await typed_stub(channel).DescribeEngine(DescribeEngineRequest())


async def _raise(error: Exception) -> None:
    raise error


async def nothing() -> None:
    """Does nothing: the warm-up and the end of a stage that has neither."""


def tiny_stage(
    servicer: TinyServicer | None = None,
    *,
    warm_up: Callable[[], Awaitable[None]] = nothing,
    close: Callable[[], Awaitable[None]] = nothing,
    limits: StreamLimits = NO_LIMITS,
) -> Stage:
    """Returns the stage of the tiny service."""
    own = servicer or TinyServicer()
    return Stage(
        service=SERVICE,
        add_to_server=lambda server: add_AsrServiceServicer_to_server(own, server),
        warm_up=warm_up,
        counted_methods=frozenset({"Recognize"}),
        limits={"Recognize": limits},
        close=close,
    )


@asynccontextmanager
async def tiny_server(stage: Stage | None = None, **settings: Any) -> AsyncIterator[Server]:
    """Serves the tiny service for the body; it is ready when the body begins."""
    own = TinySettings.model_validate({"listen": "127.0.0.1:0", **settings})
    async with serving(stage or tiny_stage(), own) as server:
        await server.ready
        yield server


def typed_stub(channel: grpc.aio.Channel) -> AsrServiceAsyncStub:
    """Returns the stub of the tiny service."""
    return cast("AsrServiceAsyncStub", AsrServiceStub(channel))


@asynccontextmanager
async def tiny_stub(address: str, **channel: Any) -> AsyncIterator[AsrServiceAsyncStub]:
    """Opens a channel to the tiny service for the body."""
    async with open_channel(address, **channel) as opened:
        yield typed_stub(opened)


def config_request(language: str = "en") -> RecognizeRequest:
    """Returns the first message of a stream."""
    return RecognizeRequest(config=RecognizeConfig(turn_id="t1", language=language))


async def open_tiny_stream(stub: AsrServiceAsyncStub, language: str = "en") -> Any:
    """Opens a stream and reads its first response."""
    call: Any = stub.Recognize()
    await call.write(config_request(language))
    assert (await call.read()).WhichOneof("event") == "started"
    return call
