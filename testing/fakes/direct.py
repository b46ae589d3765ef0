"""The scripted stages without gRPC in between, for tests in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import grpc

from gateway.settings import GatewaySettings
from gateway.stages.mesh import Mesh
from services.runtime.errors import DETAILS_KEY, AnimaError, as_anima_error
from testing.fakes.recogniser import FakeAsr
from testing.fakes.script import GARBAGE
from testing.fakes.stages import FakeAvatar, FakeLlm, FakeMemory, FakeTts


class DirectCall:
    """A call whose handler runs in the same loop."""

    def __init__(self, handler: Callable[[Any, Any], Any]) -> None:
        self._requests: asyncio.Queue[Any] = asyncio.Queue(1)
        self._responses: asyncio.Queue[Any] = asyncio.Queue(1)
        self._cancelled = False
        self._task = asyncio.create_task(self._run(handler))

    async def _run(self, handler: Callable[[Any, Any], Any]) -> None:
        try:
            await handler(self._iterate(), self)
            await self._responses.put(grpc.aio.EOF)
        except Exception as error:  # a server answers every one of them with a status
            if self._cancelled:  # nobody reads it
                return
            await self._responses.put(rpc_error(as_anima_error(error)))
        # A write to a finished call is dropped.
        while True:
            await self._requests.get()

    async def _iterate(self) -> AsyncIterator[Any]:
        while True:
            yield await self._requests.get()

    async def write(self, message: Any) -> None:
        # The gateway writes requests and the handler, through its context, responses.
        inside = message == GARBAGE or message.DESCRIPTOR.name.endswith("Response")
        await (self._responses if inside else self._requests).put(message)

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (response := await self._responses.get()) is not grpc.aio.EOF:
            if isinstance(response, grpc.aio.AioRpcError):
                raise response
            yield _decoded(response)

    def cancel(self) -> bool:
        self._cancelled = True
        return self._task.cancel()


def _decoded(message: Any) -> Any:
    """Returns what grpc.aio hands to the reader: None for bytes that it cannot decode."""
    return None if message == GARBAGE else message


def rpc_error(error: AnimaError) -> grpc.aio.AioRpcError:
    trailing = grpc.aio.Metadata((DETAILS_KEY, error.to_status().SerializeToString()))
    return grpc.aio.AioRpcError(error.code, grpc.aio.Metadata(), trailing, details=error.message)


class DirectStages:
    """The five scripted stages and a mesh that calls them directly."""

    def __init__(self) -> None:
        self.asr = FakeAsr()
        self.llm = FakeLlm()
        self.memory = FakeMemory()  # type: ignore[abstract]
        self.tts = FakeTts()
        self.avatar = FakeAvatar()  # type: ignore[abstract]

    def mesh(self, **changes: Any) -> Mesh:
        mesh = Mesh(GatewaySettings.from_environment({}, **{"echo_cancellation": False} | changes))
        mesh.asr = direct(self.asr)
        mesh.llm = mesh.llm_fallback = direct(self.llm)
        mesh.tts = mesh.tts_fallback = direct(self.tts)
        mesh.avatar = direct(self.avatar)
        mesh.memory = cast(
            Any,
            SimpleNamespace(
                Recall=_unary(self.memory.Recall),
                Remember=_unary(self.memory.Remember),
                DescribeEngine=_unary(self.memory.DescribeEngine),
                List=_unary(self.memory.List),
                ListDocuments=_unary(self.memory.ListDocuments),
            ),
        )
        return mesh


def direct(servicer: Any) -> Any:
    """Returns the stub of a scripted stage."""
    streaming = ("Recognize", "Generate", "Synthesize", "Render")
    unary = ("DescribeEngine", "ListPersonas", "ListVoices", "ListAvatars", "Prefill")
    methods = {n: _streaming(getattr(servicer, n)) for n in streaming if hasattr(servicer, n)}
    methods |= {n: _unary(getattr(servicer, n)) for n in unary if hasattr(servicer, n)}
    return SimpleNamespace(**methods)


def _streaming(handler: Any) -> Callable[..., DirectCall]:
    return lambda **_: DirectCall(handler)


def _unary(handler: Any) -> Callable[..., Any]:
    async def call(request: Any, timeout: float | None = None, **_: Any) -> Any:  # noqa: ASYNC109
        try:
            return _decoded(await asyncio.wait_for(handler(request, None), timeout))
        except AnimaError as error:
            raise rpc_error(error) from None
        except TimeoutError:
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                grpc.aio.Metadata(),
                grpc.aio.Metadata(),
                details="Deadline Exceeded",
            ) from None

    return call
