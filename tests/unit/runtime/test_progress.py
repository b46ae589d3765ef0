"""Progress or leave: a call whose client neither sends nor reads is ended, and frees its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from anima.asr.v1 import (
    AsrServiceServicer,
    EndOfSpeech,
    RecognizeRequest,
    RecognizeResponse,
    Transcript,
    add_AsrServiceServicer_to_server,
)
from anima.common.v1 import AudioChunk
from gateway.grpc.servicer import build as build_gateway
from gateway.settings import GatewaySettings
from memory.servicer import build as build_memory
from memory.settings import MemorySettings
from services.asr.servicer import build as build_asr
from services.asr.settings import AsrSettings
from services.avatar.servicer import build as build_avatar
from services.avatar.settings import AvatarSettings
from services.llm.servicer import build as build_llm
from services.llm.settings import LlmSettings
from services.runtime.errors import DeadlineExceeded, error_from_rpc
from services.runtime.limits.progress import StreamLimits, Watch, check_limits
from services.runtime.server import Stage
from services.tts.servicer import build as build_tts
from services.tts.settings import TtsSettings
from testing.virtual_time import in_virtual_time
from tests.unit.runtime.tiny_service import (
    SERVICE,
    config_request,
    nothing,
    open_tiny_stream,
    tiny_server,
    tiny_stage,
    tiny_stub,
)

END = RecognizeRequest(end_of_speech=EndOfSpeech())
SHORT_S = 0.05


def audio(size: int) -> RecognizeRequest:
    return RecognizeRequest(audio=AudioChunk(pcm=bytes(size)))


async def _read_to_the_end(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def ended(call: Any) -> DeadlineExceeded:
    """Returns the error with which the server ends a call."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _read_to_the_end(call)
    error = error_from_rpc(caught.value)
    assert isinstance(error, DeadlineExceeded)
    return error


@pytest.mark.parametrize(
    ("limits", "opened", "reason", "text"),
    [
        (StreamLimits(first_message_s=SHORT_S), False, "FIRST_MESSAGE_LATE", "within 0.05 s"),
        (StreamLimits(silence_s=SHORT_S), True, "NO_PROGRESS", "nothing was sent for 0.05 s"),
        (StreamLimits(upload_s=SHORT_S), True, "TOO_LONG", "at most 0.05 s"),
        (StreamLimits(total_s=SHORT_S), True, "TOO_LONG", "at most 0.05 s"),
    ],
)
async def test_a_client_that_sends_nothing_loses_its_place(
    limits: StreamLimits, opened: bool, reason: str, text: str
) -> None:
    async with (
        tiny_server(tiny_stage(limits=limits), capacity=1) as server,
        tiny_stub(server.address) as stub,
    ):
        held = stub.Recognize(only_a_config()) if opened else stub.Recognize()
        error = await ended(held)
        assert error.reason == reason
        assert text in error.message
        assert await finds_a_place(stub)


async def only_a_config() -> AsyncIterator[RecognizeRequest]:
    yield config_request()
    await asyncio.Event().wait()


async def finds_a_place(stub: Any) -> bool:
    """Returns whether a stream is accepted; on a slow machine its own limit may then end it."""
    try:
        await open_tiny_stream(stub)
    except grpc.aio.AioRpcError as error:
        return isinstance(error_from_rpc(error), DeadlineExceeded)
    return True


class Flood(AsrServiceServicer):
    """Sends more than any buffer holds."""

    DescribeEngine = AsrServiceServicer.DescribeEngine

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def Recognize(  # noqa: N802
        self, request_iterator: AsyncIterator[RecognizeRequest], context: Any
    ) -> AsyncIterator[RecognizeResponse]:
        try:
            while True:
                yield RecognizeResponse(partial=Transcript(text="x" * 1_000_000))
        finally:
            self.over.set()


async def test_a_client_that_does_not_read_loses_its_place() -> None:
    flood = Flood()
    stage = Stage(
        service=SERVICE,
        add_to_server=lambda server: add_AsrServiceServicer_to_server(flood, server),
        warm_up=nothing,
        counted_methods=frozenset({"Recognize"}),
        limits={"Recognize": StreamLimits(unread_s=SHORT_S)},
        close=nothing,
    )
    async with tiny_server(stage, capacity=1) as server, tiny_stub(server.address) as stub:
        held: Any = stub.Recognize()
        await held.write(config_request())
        await flood.over.wait()
        other: Any = stub.Recognize()
        assert isinstance(await other.read(), RecognizeResponse)  # the only place is free again
        other.cancel()
        error = await ended(held)
        assert error.reason == "NO_PROGRESS"
        assert "has not read for 0.05 s" in error.message


def watched(
    limits: StreamLimits, steps: list[tuple[float, RecognizeRequest]], *, work_s: float = 0.0
) -> float:
    """Reads messages that arrive after pauses, in virtual time; returns how long that took.

    Args:
        limits: The limits.
        steps: The pauses, s, and the messages after them; then the client says nothing more.
        work_s: How long the handler works on each message.
    """

    async def messages() -> AsyncIterator[RecognizeRequest]:
        for pause_s, message in steps:
            await asyncio.sleep(pause_s)
            yield message
        await asyncio.get_running_loop().create_future()

    async def main() -> float:
        async with Watch(limits) as watch:
            number = 0
            async for _ in watch.requests(messages()):
                number += 1
                await asyncio.sleep(work_s)
                if number == len(steps):
                    return asyncio.get_running_loop().time()
        raise AssertionError("the messages ended")

    return in_virtual_time(main)


def test_a_drip_is_below_the_least_rate() -> None:
    limits = StreamLimits(silence_s=30, least_bytes_per_s=1_000)
    with pytest.raises(DeadlineExceeded, match="less than 1000 bytes/s") as caught:
        watched(limits, [(9.0, audio(1))] * 100)
    assert caught.value.reason == "NO_PROGRESS"


def test_who_sends_fast_enough_may_take_long() -> None:
    limits = StreamLimits(silence_s=30, least_bytes_per_s=1_000)
    assert watched(limits, [(9.0, audio(10_000))] * 100) == 900


def test_the_work_of_the_server_does_not_count() -> None:
    limits = StreamLimits(silence_s=1, least_bytes_per_s=1_000)
    steps = [(0.5, audio(600))] * 20
    assert watched(limits, steps, work_s=100) == 2010


def test_after_the_last_message_the_client_owes_nothing() -> None:
    async def main() -> float:
        async def messages() -> AsyncIterator[RecognizeRequest]:
            yield END
            await asyncio.sleep(1000)

        async with Watch(StreamLimits(silence_s=1, last="end_of_speech")) as watch:
            async for _ in watch.requests(messages()):
                pass
        return asyncio.get_running_loop().time()

    assert in_virtual_time(main) == 1000


def test_an_answer_that_is_being_sent_is_no_silence() -> None:
    async def main() -> float:
        never: asyncio.Future[RecognizeRequest] = asyncio.get_running_loop().create_future()

        async def messages() -> AsyncIterator[RecognizeRequest]:
            yield config_request()
            yield await never

        async def read(watch: Watch) -> None:
            async for _ in watch.requests(messages()):
                pass

        async with Watch(StreamLimits(silence_s=10)) as watch, asyncio.TaskGroup() as group:
            group.create_task(read(watch))
            for _ in range(5):
                await asyncio.sleep(9)
                await watch.write(asyncio.sleep(1))
            await asyncio.sleep(100)
        raise AssertionError("the call did not end")

    with pytest.raises(DeadlineExceeded, match="nothing was sent for 10 s"):
        in_virtual_time(main)


def test_a_client_that_cancels_is_cancelled() -> None:
    async def main() -> None:
        async def call() -> None:
            async with Watch(StreamLimits(total_s=5)):
                await asyncio.sleep(5)

        task = asyncio.create_task(call())
        asyncio.get_running_loop().call_at(5, task.cancel)
        await asyncio.wait([task])
        assert task.cancelled() or isinstance(task.exception(), DeadlineExceeded)

    in_virtual_time(main)


BUILDS: dict[str, Callable[[], Stage]] = {
    "asr": lambda: build_asr(AsrSettings.from_environment()),
    "llm": lambda: build_llm(LlmSettings.from_environment()),
    "tts": lambda: build_tts(TtsSettings.from_environment()),
    "avatar": lambda: build_avatar(AvatarSettings.from_environment()),
    "memory": lambda: build_memory(MemorySettings.from_environment()),
    "gateway": lambda: build_gateway(GatewaySettings.from_environment()),
}


@pytest.mark.parametrize("service", BUILDS)
async def test_every_stream_of_every_service_has_its_limits(service: str) -> None:
    stage = BUILDS[service]()
    check_limits(stage.service, stage.limits)
    for method in stage.limits:
        fewer = {name: row for name, row in stage.limits.items() if name != method}
        with pytest.raises(ValueError, match=f"no row for {method}"):
            check_limits(stage.service, fewer)


async def test_a_stage_without_limits_does_not_start() -> None:
    stage = Stage(
        service=SERVICE,
        add_to_server=lambda server: None,
        warm_up=nothing,
        counted_methods=frozenset(),
        limits={},
        close=nothing,
    )
    with pytest.raises(ValueError, match="no row for Recognize"):
        async with tiny_server(stage):
            pass
