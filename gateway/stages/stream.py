"""Streams to the stages: bounded both ways, confirmed when stopped; `opening.py` opens them.

All stages share one protocol: the first request is `config`, the first response `started`, the last
one the stage's terminal event; `interrupt` is answered by `interrupted`. A stream that ends before
its terminal event has failed, even with the status OK.

Reads and writes of a call run in tasks of the stream and are never cancelled by its users: in
grpc.aio a cancelled `read()` or `write()` cancels the whole call, and the stage could no longer
confirm an interruption. A response is processed in the task that reads, between two reads, where it
can be cancelled; a separate task would cost a tenth of the gateway's time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway import metrics
from gateway.pipe import Pipe
from gateway.stages.failure import SILENT, StageFailed
from gateway.stages.spec import STAGES
from gateway.stages.taker import Taker
from gateway.stages.watchdog import Watch
from services.runtime.errors import (
    AnimaError,
    InternalError,
    Unavailable,
    error_from_rpc,
)
from services.runtime.process.tasks import Tasks, cancelled

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)

_MAX_REQUESTS = 8


class Call(Protocol):
    """The part of `grpc.aio.StreamStreamCall` that a stream uses."""

    def __aiter__(self) -> AsyncIterator[Any]: ...
    async def write(self, request: Any, /) -> None:
        """Sends a request."""

    def cancel(self) -> bool:
        """Ends the call."""


class StageStream(Generic[RequestT, ResponseT]):
    """One stream of one turn to one stage.

    Attributes:
        stage: The name of the stage.
        started: The first response; None until the stage has started.
        stale: How many responses were dropped after the interrupt.
    """

    def __init__(self, stage: str, call: Call, request_type: type[RequestT]) -> None:
        self.stage = stage
        self.started: ResponseT | None = None
        self.stale = 0
        self._call = call
        self._request_type = request_type
        self._requests: Pipe[RequestT] = Pipe(_MAX_REQUESTS)
        # A reader that was cancelled between two reads is followed by another on this iterator.
        self._responses = aiter(call)
        self._taker: Taker[ResponseT] | None = None
        self._wanted = asyncio.Event()
        self._in_hand = False
        self._last: ResponseT | None = None
        self._error: AnimaError | None = None
        self._stopping_epoch: int | None = None
        self._confirmed = False
        self._settled = asyncio.Event()
        self._ended = False
        self._watch: Watch | None = None
        self._tasks = Tasks(stage, on_failure=self._break)
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reader: asyncio.Task[None] | None = None
        self._start_reader()
        self._tasks.start(self._write(), name=f"{stage}-writer")

    async def start(self, config: RequestT) -> None:
        """Sends the config and waits until the stage has started; `open_stream` calls it.

        Raises:
            StageFailed: The stage is unavailable or full, or rejects the config.
        """
        await self.send(config)
        await self._opened
        if self.started is None:
            raise StageFailed(
                self.stage, self._error or Unavailable(f"{self.stage} ended before it started")
            )
        if (event := self.started.WhichOneof("event")) != "started":
            self.started = None
            text = f"{self.stage} sent {event or 'an empty message'} before it had started"
            raise StageFailed(self.stage, InternalError(text))

    @property
    def ended(self) -> bool:
        """True once the stage has ended the stream."""
        return self._ended

    @property
    def finished(self) -> bool:
        """True if the last response was the terminal event of the stage."""
        last = self._last
        return last is not None and last.WhichOneof("event") == STAGES[self.stage].terminal_event

    async def send(self, request: RequestT) -> None:
        """Sends a request; waits while the stage has too many unread ones.

        After the end of the stream requests are dropped; `responses` raises the reason.
        """
        if not self._ended:
            await self._requests.put(request)

    async def consume(
        self,
        take: Callable[[ResponseT], Awaitable[bool | None]],
        *,
        silence_timeout_ms: int | None = None,
        owes: Callable[[], bool] = lambda: True,
        may_end: Callable[[], bool] | None = None,
    ) -> None:
        """Calls `take` with each response, in order, until the stage has done its work.

        Args:
            take: Called with each response. The stage is held back while it waits. It returns True
                when it wants no more responses.
            silence_timeout_ms: How long the stage may send nothing while it owes a response; None:
                no limit.
            owes: Returns whether the stage has work to do.
            may_end: Returns whether the stage has done all its work and may end the stream; None:
                once it is `finished`.

        Raises:
            StageFailed: The stream ended with an error, ended before its work was done, or fell
                silent. An exception of `take` is raised too.
        """
        taker = Taker(take, may_end or (lambda: self.finished))
        if self._ended:
            self._check_end(taker)
            return
        if silence_timeout_ms is not None:
            self._watch = Watch(
                silence_s=silence_timeout_ms / 1000,
                owes=lambda: not self._in_hand and owes(),
                on_silence=lambda: self._fall_silent(silence_timeout_ms),
            )
        self._taker = taker
        self._wanted.set()
        try:
            await taker.done
        finally:
            self._taker = None
            self._wanted.clear()
            self._unwatch()
            if self._in_hand:
                await self._stop_reader()

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _check_end(self, taker: Taker[ResponseT]) -> None:
        if self._error is None and not taker.may_end():
            self._error = Unavailable(f"{self.stage} ended before its work was done")
        if self._error is not None:
            raise StageFailed(self.stage, self._error)

    def _fall_silent(self, silence_ms: int) -> None:
        text = f"{self.stage} has been silent for {silence_ms} ms"
        self._give_up(Unavailable(text, reason=SILENT))

    def _break(self, fault: BaseException) -> None:
        """Fails the stream after a fault in its reader or writer, which has been logged."""
        self._give_up(InternalError(f"the stream to {self.stage} broke: {fault!r}"))

    def _give_up(self, error: AnimaError) -> None:
        """Fails the stream at once: nothing more can be read, and nobody can be interrupted."""
        if self._ended:
            return
        self._error = error
        self._end()
        self._call.cancel()
        if self._reader is not None:
            self._reader.cancel()

    def _end(self) -> None:
        self._ended = True
        self._settled.set()
        if not self._opened.done():
            self._opened.set_result(None)
        if self._taker is not None:
            try:
                self._check_end(self._taker)
            except StageFailed as failure:
                self._taker.finish(failure)
            else:
                self._taker.finish()
        # The writer of a finished call takes no more requests, so senders must not wait for room.
        self._requests.clear()

    async def stop(self, epoch: int, *, timeout_ms: int) -> pb.StageStop:
        """Interrupts the stage, waits for its confirmation and closes the stream.

        Args:
            epoch: The new epoch; responses from before the confirmation are dropped.
            timeout_ms: How long to wait; then the call is cancelled.

        Returns:
            Whether the stage has confirmed, and the time that it took.
        """
        clock = asyncio.get_running_loop().time
        asked_at = clock()
        self._stopping_epoch = epoch
        self._requests.clear()
        if self._in_hand:
            self._count_stale(1)
            await self._stop_reader()
        if self._reader is None:
            self._start_reader()
        interrupt = common.Interrupt(epoch=epoch)
        self._requests.put_now(self._request_type(interrupt=interrupt))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1000):
                await self._settled.wait()
        stopped = pb.StageStop(
            stage=self.stage,
            elapsed_us=round((clock() - asked_at) * 1e6),
            confirmed=self._confirmed,
        )
        await self.close()
        return stopped

    async def close(self) -> None:
        """Ends the stream: a call that still runs is cancelled."""
        self._unwatch()
        self._call.cancel()
        # A cancelled task keeps its last frame alive, and with it this stream and its answer.
        self._reader = None
        await self._tasks.close()
        if not self._ended:
            self._end()

    def _start_reader(self) -> None:
        self._reader = self._tasks.start(self._read(), name=f"{self.stage}-reader")

    async def _stop_reader(self) -> None:
        """Ends the reader, which has a response in hand: the call lives on."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await cancelled([reader])
        self._in_hand = False

    async def _read(self) -> None:
        try:
            # Not `read()`: after a write to a stream that the stage has just finished, `read()`
            # rejects messages that arrived before the end, with INTERNAL "Internal error from
            # Core".
            async for response in self._responses:
                if response is None:  # grpc.aio returns None for a message that it cannot decode
                    self._call.cancel()
                    self._error = InternalError(f"{self.stage} sent an undecodable message")
                    break
                await self._handle(response)
            else:
                self._confirmed = True
        except grpc.aio.AioRpcError as error:
            self._error = error_from_rpc(error)
            # A stage that finished while it was being interrupted has stopped, whatever its status.
            finished = self._stopping_epoch is not None and not isinstance(self._error, Unavailable)
            self._confirmed = self._confirmed or finished
        self._end()

    async def _handle(self, response: Any) -> None:
        if self._stopping_epoch is None:
            if self._opened.done():
                await self._hand_over(response)
            else:
                self.started = response
                self._opened.set_result(None)
        elif (
            response.WhichOneof("event") == "interrupted"
            and response.interrupted.epoch >= self._stopping_epoch
        ):
            self._confirmed = True
            self._settled.set()
        else:
            self._count_stale(1)

    async def _hand_over(self, response: ResponseT) -> None:
        self._in_hand = True
        if self._watch is not None:
            self._watch.heard()
        while (taker := self._taker) is None:
            await self._wanted.wait()
        self._last = response
        try:
            if await taker.take(response):
                self._taker = None
                self._wanted.clear()
                taker.finish()
        except BaseException as error:
            reader = asyncio.current_task()
            if reader is not None and reader.cancelling():
                raise
            self._taker = None
            self._wanted.clear()
            taker.finish(error)
        self._in_hand = False

    def _count_stale(self, count: int) -> None:
        self.stale += count
        metrics.stale_dropped(self.stage, count)

    async def _write(self) -> None:
        try:
            while True:
                await self._call.write(await self._requests.get())
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # A dead call rejects writes with InvalidStateError. Requests are dropped until the
            # reader has its status, so that no sender waits for room.
            while True:
                await self._requests.get()
