"""The stream to a stage, over a call that is scripted by a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.llm.v1 import llm_pb2 as llm
from gateway.stages.failure import SILENT, StageFailed
from gateway.stages.opening import open_stream
from gateway.stages.route import Route
from gateway.stages.spec import AnswerKind
from gateway.stages.stream import StageStream
from services.runtime.errors import InternalError
from testing.fakes.mesh import FakeMesh
from testing.virtual_time import in_virtual_time
from tests.unit.gateway.conversing import grpc_conversation

Stream = StageStream[llm.GenerateRequest, llm.GenerateResponse]

STARTED = llm.GenerateResponse(started=llm.Started(language="en"))
DELTA = llm.GenerateResponse(delta=llm.TextDelta(text="Hello."))
FINISHED = llm.GenerateResponse(finished=llm.Finished(reason=common.END_REASON_COMPLETE))
CONFIG = llm.GenerateRequest(config=llm.GenerateConfig(question="?"))


class Call:
    """A call: `responses` come in order, an exception is raised, at the end it waits for `over`."""

    def __init__(self, *responses: Any, write_fault_at: int | None = None) -> None:
        self.responses = responses
        self.written: list[Any] = []
        self.room = asyncio.Event()
        self.room.set()
        self.over = asyncio.Event()
        self.cancelled = False
        self._write_fault_at = write_fault_at

    async def __aiter__(self) -> AsyncIterator[Any]:
        for response in self.responses:
            if isinstance(response, Exception):
                raise response
            yield response
        await self.over.wait()

    async def write(self, request: Any) -> None:
        await self.room.wait()
        if len(self.written) == self._write_fault_at:
            raise ZeroDivisionError("a fault in the writer")
        self.written.append(request)

    def cancel(self) -> bool:
        self.cancelled = True
        return True


async def opened(call: Call) -> Stream:
    route = Route(session_id="s1", persona="anima", answers=AnswerKind.TEXT)
    return await open_stream("llm", lambda **_: call, CONFIG, route=route, timeout_ms=1000)


async def read(stream: Stream, **options: Any) -> list[llm.GenerateResponse]:
    responses: list[llm.GenerateResponse] = []

    async def take(response: llm.GenerateResponse) -> None:
        responses.append(response)

    await stream.consume(take, **options)
    return responses


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    in_virtual_time(main)


def test_stream_that_ends_after_its_terminal_event_is_complete() -> None:
    async def main() -> None:
        call = Call(STARTED, DELTA, FINISHED)
        stream = await opened(call)
        call.over.set()
        assert await read(stream) == [DELTA, FINISHED]
        await stream.close()

    run(main)


@pytest.mark.parametrize("responses", [[], [DELTA], [FINISHED, DELTA]])
def test_stream_that_ends_before_its_terminal_event_has_failed(responses: list[Any]) -> None:
    async def main() -> None:
        call = Call(STARTED, *responses)
        stream = await opened(call)
        call.over.set()
        with pytest.raises(StageFailed, match="llm ended before its work was done"):
            await read(stream)
        await stream.close()

    run(main)


def test_message_that_cannot_be_decoded_fails_the_stream() -> None:
    async def main() -> None:
        call = Call(STARTED, DELTA, None, FINISHED)
        stream = await opened(call)
        with pytest.raises(StageFailed, match="undecodable message"):
            await read(stream)
        assert call.cancelled
        await stream.close()

    run(main)


@pytest.mark.parametrize("first", [None, DELTA, llm.GenerateResponse()])
def test_stage_that_does_not_begin_with_started_is_refused(first: Any) -> None:
    async def main() -> None:
        call = Call(first, STARTED)
        with pytest.raises(StageFailed) as caught:
            await opened(call)
        assert isinstance(caught.value.error, InternalError)
        assert call.cancelled

    run(main)


def test_fault_in_the_reader_reaches_who_reads() -> None:
    async def main() -> None:
        call = Call(STARTED, *[DELTA] * 3, ZeroDivisionError("a fault in the reader"))
        stream = await opened(call)
        with pytest.raises(StageFailed, match="a fault in the reader") as caught:
            await read(stream)
        assert isinstance(caught.value.error, InternalError)
        assert call.cancelled
        await stream.close()

    run(main)


@pytest.mark.parametrize("unread", [0, 100])
def test_fault_in_the_writer_reaches_who_reads_and_frees_who_sends(unread: int) -> None:
    async def main() -> None:
        call = Call(STARTED, *[DELTA] * unread, write_fault_at=1)
        stream = await opened(call)
        for _ in range(20):
            await stream.send(CONFIG)
        with pytest.raises(StageFailed, match="a fault in the writer") as caught:
            await read(stream)
        assert isinstance(caught.value.error, InternalError)
        await stream.close()

    run(main)


def test_fault_in_the_writer_ends_a_stop_at_once() -> None:
    async def main() -> None:
        stream = await opened(Call(STARTED, write_fault_at=1))
        stopped = await stream.stop(1, timeout_ms=60_000)
        assert not stopped.confirmed
        assert asyncio.get_running_loop().time() == 0

    run(main)


def test_who_waits_for_room_at_a_stage_that_hangs_goes_on_when_it_is_given_up() -> None:
    async def main() -> None:
        call = Call(STARTED)
        stream = await opened(call)
        call.room.clear()

        async def send() -> None:
            for _ in range(100):
                await stream.send(CONFIG)

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(send())
            with pytest.raises(StageFailed) as caught:
                await read(stream, silence_timeout_ms=3_000)
        assert caught.value.error.reason == SILENT
        await stream.close()

    run(main)


class Took:
    """Takes responses one by one, and waits within each until it is let go on."""

    def __init__(self) -> None:
        self.responses: list[llm.GenerateResponse] = []
        self.inside = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = False

    async def __call__(self, response: llm.GenerateResponse) -> None:
        self.responses.append(response)
        self.inside.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


INTERRUPTED = llm.GenerateResponse(interrupted=common.Interrupted(epoch=2))


def test_stop_while_a_response_is_being_taken_is_confirmed() -> None:
    async def main() -> None:
        call = Call(STARTED, DELTA, DELTA, INTERRUPTED)
        stream, took = await opened(call), Took()
        async with asyncio.TaskGroup() as group:
            consuming = group.create_task(stream.consume(took))
            await took.inside.wait()
            consuming.cancel()
            await asyncio.wait([consuming])
            assert took.cancelled
            assert not call.cancelled
            stopped = await stream.stop(2, timeout_ms=60_000)
        assert stopped.confirmed
        assert stream.stale == 1
        assert took.responses == [DELTA]
        assert asyncio.get_running_loop().time() == 0

    run(main)


def test_stop_of_a_stream_that_nobody_takes_from_is_confirmed() -> None:
    async def main() -> None:
        stream = await opened(Call(STARTED, DELTA, DELTA, INTERRUPTED))
        for _ in range(10):
            await asyncio.sleep(0)
        stopped = await stream.stop(2, timeout_ms=60_000)
        assert stopped.confirmed
        assert stream.stale == 2

    run(main)


def test_fault_in_taking_a_response_reaches_who_consumes() -> None:
    async def main() -> None:
        async def take(response: llm.GenerateResponse) -> None:
            raise ZeroDivisionError("a fault in taking")

        call = Call(STARTED, DELTA, DELTA, INTERRUPTED)
        stream = await opened(call)
        with pytest.raises(ZeroDivisionError, match="a fault in taking"):
            await stream.consume(take)
        assert not call.cancelled
        assert (await stream.stop(2, timeout_ms=60_000)).confirmed

    run(main)


def test_cancelled_future_within_taking_ends_the_consumer() -> None:
    async def main() -> None:
        async def take(response: llm.GenerateResponse) -> None:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

        stream = await opened(Call(STARTED, DELTA))
        with pytest.raises(asyncio.CancelledError):
            await stream.consume(take)
        await stream.close()

    run(main)


def test_taker_that_wants_no_more_ends_the_consumer_and_nothing_else() -> None:
    async def main() -> None:
        taken: list[Any] = []

        async def take(response: llm.GenerateResponse) -> bool:
            taken.append(response)
            return True

        call = Call(STARTED, DELTA, FINISHED)
        stream = await opened(call)
        await stream.consume(take)
        assert taken == [DELTA]
        assert not stream.ended
        assert not call.cancelled
        await stream.close()

    run(main)


def test_responses_wait_for_who_is_slow() -> None:
    async def main() -> None:
        stream, took = await opened(Call(STARTED, DELTA, DELTA, FINISHED)), Took()
        async with asyncio.TaskGroup() as group:
            consuming = group.create_task(stream.consume(took, silence_timeout_ms=1_000))
            await asyncio.sleep(60)  # a stage that is held back is not silent
            assert took.responses == [DELTA]
            took.go_on.set()
            await asyncio.sleep(0.5)
            assert took.responses == [DELTA, DELTA, FINISHED]
            consuming.cancel()
        await stream.close()

    run(main)


@pytest.mark.parametrize(
    ("stage", "kind"),
    [("llm", pb.NOTICE_KIND_STAGE_FAILED), ("avatar", pb.NOTICE_KIND_DEGRADED)],
)
@pytest.mark.parametrize("how", ["end_after", "garbage_after", "raise_after"])
async def test_stage_that_breaks_is_told_over_grpc(
    stage: str, kind: pb.NoticeKind.ValueType, how: str
) -> None:
    async with FakeMesh() as stages, stages.gateway() as gateway:
        setattr(getattr(stages, stage), how, 1)
        async with grpc_conversation(gateway) as (send, said):
            await said.until_kind("session_started")
            await send(pb.ConverseRequest(text=pb.TextInput(text="Hello?")))
            await said.until_kind("turn_ended")
            (notice,) = said.all("notice")
            assert (notice.kind, notice.stage) == (kind, stage)


def test_a_turn_that_is_cancelled_just_as_the_stage_starts_leaves_no_stream() -> None:
    class Late(Call):
        async def __aiter__(self) -> AsyncIterator[Any]:
            yield STARTED
            opening[0].cancel()
            await self.over.wait()

    async def main() -> None:
        call = Late()
        opening.append(asyncio.create_task(opened(call)))
        with pytest.raises(asyncio.CancelledError):
            await opening[0]
        assert call.cancelled

    opening: list[asyncio.Task[Stream]] = []
    run(main)
