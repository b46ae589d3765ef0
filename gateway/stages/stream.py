"""Streams to the stages: opened within a deadline, bounded both ways, confirmed when stopped.

All stages share one protocol: the first request is `config`, the first response `started`, the last
one the stage's terminal event; `interrupt` is answered by `interrupted`. A stream that ends before
its terminal event has failed, even with the status OK.

Reads and writes of a call run in tasks of the stream and are never cancelled by its users: in
grpc.aio a cancelled `read()` or `write()` cancels the whole call, and the stage could no longer
confirm an interruption.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, Protocol, TypeVar, cast

import grpc
from google.protobuf.message import Message

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway import metrics
from gateway.pipe import Pipe
from gateway.stages.spec import STAGES
from gateway.stages.watchdog import Watch
from services.runtime.errors import (
    AnimaError,
    Busy,
    DeadlineExceeded,
    InternalError,
    Unavailable,
    error_from_rpc,
)
from services.runtime.tasks import Tasks

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)

_MAX_REQUESTS = 8
_MAX_RESPONSES = 16
_RETRY_AFTER_MS = 200
_TRIES = 2
_REOPEN_TIMEOUT_MS = 2_000

SILENT = "SILENT"
"""The reason of an error when a stage had work to do and sent nothing."""


def reopen_ms(error: AnimaError) -> int | None:
    """Returns how long to spend on reopening after an error, ms; None: as long as the first time.

    A process that was killed is being restarted meanwhile; one that hangs is not.
    """
    return _REOPEN_TIMEOUT_MS if error.reason == SILENT else None


class _End:
    """Follows the last response in the queue."""


_END = _End()


class StageFailed(Exception):  # noqa: N818 (named after its meaning)
    """A stage could not do its part.

    Attributes:
        stage: The name of the stage, such as "tts".
        error: The error that it returned, or the reason why there is no answer.
    """

    def __init__(self, stage: str, error: AnimaError) -> None:
        super().__init__(f"{stage}: {error}")
        self.stage = stage
        self.error = error


class _Call(Protocol):
    """The part of `grpc.aio.StreamStreamCall` that a stream uses."""

    def __aiter__(self) -> AsyncIterator[Any]: ...
    async def write(self, request: Any) -> None: ...
    def cancel(self) -> bool: ...


class StageStream(Generic[RequestT, ResponseT]):
    """One stream of one turn to one stage.

    Attributes:
        stage: The name of the stage.
        started: The first response; None until the stage has started.
        stale: How many responses were dropped after the interrupt.
    """

    def __init__(self, stage: str, call: _Call, request_type: type[RequestT]) -> None:
        self.stage = stage
        self.started: ResponseT | None = None
        self.stale = 0
        self._call = call
        self._request_type = request_type
        self._requests: Pipe[RequestT] = Pipe(_MAX_REQUESTS)
        self._responses: Pipe[ResponseT | _End] = Pipe(_MAX_RESPONSES)
        self._last: ResponseT | None = None
        self._error: AnimaError | None = None
        self._stopping_epoch: int | None = None
        self._confirmed = False
        self._settled = asyncio.Event()
        self._ended = False
        self._awaited = False
        self._watch: Watch | None = None
        self._tasks = Tasks(stage, on_failure=self._break)
        self._reader: asyncio.Task[None] | None
        self._reader = self._tasks.start(self._read(), name=f"{stage}-reader")
        self._tasks.start(self._write(), name=f"{stage}-writer")

    @classmethod
    async def open(
        cls,
        stage: str,
        method: Callable[..., Any],
        config: RequestT,
        *,
        timeout_ms: int,
        wait_for_place: bool = False,
        on_full: Callable[[int], None] = lambda _: None,
    ) -> StageStream[RequestT, ResponseT]:
        """Opens a stream and waits until the stage has started.

        Waits for a stage that is being restarted. An attempt that is cut off, or hangs for half of
        the time, is repeated once; a full stage is tried again after the time that it names.

        Args:
            stage: The name of the stage.
            method: The method of the stub.
            config: The first request.
            timeout_ms: How long all attempts together may take.
            wait_for_place: Whether to retry a full stage within that time.
            on_full: Called when the stage is full, with the time after which it may have a slot,
                ms.

        Raises:
            StageFailed: The stage is unavailable or full, or rejects the config.
        """
        busy: StageFailed | None = None
        stream: StageStream[RequestT, ResponseT] | None = None
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                tries = 0
                while True:
                    tries += 1
                    call = cast(_Call, method(wait_for_ready=True))
                    stream = cls(stage, call, type(config))
                    try:
                        # A replica that hangs must leave time to try another one.
                        share_s = timeout_ms / 1000 / _TRIES if tries < _TRIES else None
                        async with asyncio.timeout(share_s):
                            await stream._start(config)
                        return stream
                    except TimeoutError:
                        await stream.close()
                    except StageFailed as failure:
                        await stream.close()
                        if isinstance(failure.error, Busy):
                            retry_after_ms = failure.error.retry_after_ms or _RETRY_AFTER_MS
                            on_full(retry_after_ms)
                            if not wait_for_place:
                                raise
                            busy, tries = failure, tries - 1
                            await asyncio.sleep(retry_after_ms / 1000)
                        elif tries >= _TRIES or not isinstance(failure.error, Unavailable):
                            raise
        except TimeoutError:
            if busy is not None:
                raise busy from None
            text = f"{stage} did not start within {timeout_ms} ms"
            raise StageFailed(stage, DeadlineExceeded(text)) from None
        finally:
            if stream is not None and stream.started is None:
                await stream.close()

    async def _start(self, config: RequestT) -> None:
        await self.send(config)
        first = await self._responses.get()
        if isinstance(first, _End):
            raise StageFailed(
                self.stage, self._error or Unavailable(f"{self.stage} ended before it started")
            )
        if (event := first.WhichOneof("event")) != "started":
            text = f"{self.stage} sent {event or 'an empty message'} before it had started"
            raise StageFailed(self.stage, InternalError(text))
        self.started = first

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

    async def responses(
        self,
        *,
        silence_timeout_ms: int | None = None,
        owes: Callable[[], bool] = lambda: True,
        may_end: Callable[[], bool] | None = None,
    ) -> AsyncIterator[ResponseT]:
        """Yields the responses of the stage, for a single reader.

        Args:
            silence_timeout_ms: How long the stage may send nothing while the reader waits and it
                owes a response; None: no limit.
            owes: Returns whether the stage has work to do.
            may_end: Returns whether the stage has done all its work and may end the stream; None:
                once it is `finished`.

        Raises:
            StageFailed: The stream ended with an error, ended before its work was done, or fell
                silent.
        """
        if silence_timeout_ms is not None:
            self._watch = Watch(
                silence_s=silence_timeout_ms / 1000,
                owes=lambda: self._awaited and not len(self._responses) and owes(),
                on_silence=lambda: self._fall_silent(silence_timeout_ms),
            )
        try:
            while True:
                self._awaited = True
                response = await self._responses.get()
                self._awaited = False
                if self._watch is not None:
                    self._watch.heard()
                if isinstance(response, _End):
                    self._check_end(self.finished if may_end is None else may_end())
                    return
                self._last = response
                yield response
        finally:
            self._unwatch()

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _check_end(self, complete: bool) -> None:
        if self._error is None and not complete:
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
        """Fails the stream at once: nothing more can be read, and there is nothing to interrupt."""
        if self._ended:
            return
        self._error = error
        self._end()
        self._call.cancel()
        if self._reader is not None:
            self._reader.cancel()
        self._responses.clear()
        self._responses.put_now(_END)

    def _end(self) -> None:
        self._ended = True
        self._settled.set()
        # The writer of a finished call takes no more requests, so senders must not wait for room.
        self._requests.clear()

    async def stop(self, epoch: int, *, timeout_ms: int) -> pb.StageStop:
        """Interrupts the stage, waits for its confirmation and closes the stream.

        Args:
            epoch: The new epoch; responses sent before the confirmation are dropped.
            timeout_ms: How long to wait before the call is cancelled.

        Returns:
            Whether the stage has confirmed, and the time that it took.
        """
        clock = asyncio.get_running_loop().time
        asked_at = clock()
        self._stopping_epoch = epoch
        self._requests.clear()
        self._count_stale(self._responses.clear())
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
        """Ends the stream and cancels a call that is still running."""
        self._unwatch()
        self._call.cancel()
        # A cancelled task keeps its last frame alive, and with it this stream and its answer.
        self._reader = None
        await self._tasks.close()

    async def _read(self) -> None:
        try:
            # Not `read()`: after a write to a stream that the stage has just finished, `read()`
            # rejects messages that arrived before the end, with INTERNAL "Internal error from
            # Core".
            async for response in self._call:
                if response is None:  # grpc.aio returns None for a message that it cannot decode
                    self._call.cancel()
                    self._error = InternalError(f"{self.stage} sent an undecodable message")
                    break
                await self._take(response)
            else:
                self._confirmed = True
        except grpc.aio.AioRpcError as error:
            self._error = error_from_rpc(error)
            # A stage that finished while it was being interrupted has stopped, whatever its status.
            finished = self._stopping_epoch is not None and not isinstance(self._error, Unavailable)
            self._confirmed = self._confirmed or finished
        self._end()
        if self._stopping_epoch is None:
            await self._responses.put(_END)

    async def _take(self, response: Any) -> None:
        if self._stopping_epoch is None:
            await self._responses.put(response)
        elif (
            response.WhichOneof("event") == "interrupted"
            and response.interrupted.epoch >= self._stopping_epoch
        ):
            self._confirmed = True
            self._settled.set()
        else:
            self._count_stale(1)

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
