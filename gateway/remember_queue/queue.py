"""The queue of turns for the memory: none is lost if the memory is down or the gateway dies.

A turn is written to disk, then delivered until the memory confirms it. The turns of a user are
delivered in their order; users do not wait for each other. The ids of the items come from the turn,
so that a turn that is delivered twice is stored once.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, Final, Protocol

import grpc

from anima.memory.v1 import memory_pb2 as memory
from gateway import metrics
from gateway.remember_queue.journal import MAX_AGE_MS
from gateway.remember_queue.memory_clock import MemoryClock
from gateway.remember_queue.pending import PendingTurn, PendingTurns
from gateway.remember_queue.writer import JournalWriter
from services.runtime.errors import (
    DISK_FULL_REASON,
    AnimaError,
    Busy,
    InternalError,
    InvalidRequest,
    error_from_rpc,
)
from services.runtime.observing.logs import get_logger
from services.runtime.process.clock import unix_ms
from services.runtime.process.tasks import Tasks

_TIMEOUT_S: Final = 10.0
_CONCURRENT: Final = 4
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 5.0
_MOST_REFUSALS: Final = 3
# An internal error may be temporary: this many attempts take more than a minute.
_MOST_INTERNAL_ERRORS: Final = 10


class Send(Protocol):
    """Sends a request to the memory."""

    def __call__(self, request: memory.RememberRequest, *, timeout: float) -> Awaitable[Any]:
        """Returns a call that ends when the memory has confirmed, or raises `AioRpcError`."""
        ...


class RememberQueue:
    """Delivers turns to the memory.

    Args:
        send: Sends a request to the memory.
        max_turns: The most turns that wait; beyond that the oldest ones are dropped.
        max_bytes: The most bytes of them all.
        clock: The memory's clock; None: the memory counts the age of a turn back from its arrival.
        now_unix_ms: Returns the current time, ms since 1970-01-01 UTC.
    """

    def __init__(
        self,
        send: Send,
        *,
        max_turns: int,
        max_bytes: int,
        clock: MemoryClock | None = None,
        now_unix_ms: Callable[[], int] = unix_ms,
    ) -> None:
        self._send = send
        self._clock = clock
        self._now_unix_ms = now_unix_ms
        self._pending = PendingTurns(max_turns=max_turns, max_bytes=max_bytes)
        self._writer: JournalWriter | None = None
        self._writing: asyncio.Task[None] | None = None
        self._supervised = Tasks("remember-queue")
        self._delivering = Tasks("remember-delivery")
        self._users: set[str] = set()
        self._places = asyncio.Semaphore(_CONCURRENT)
        self._failures = 0
        self.is_memory_full = False
        """Whether the memory has refused a turn because its disk is full, and none since then."""
        self._resume_at = 0.0
        self._empty = asyncio.Event()
        self._empty.set()

    def start(self, folder: Path, key: bytes | None) -> None:
        """Starts keeping turns on disk, and delivers those that are already there.

        Args:
            folder: The folder; it is created with the first turn.
            key: The key that encrypts the file; None: it is not encrypted.
        """
        self._writer = JournalWriter(folder, key, on_written=self._written)
        self._writing = self._supervised.start(self._writer.run())

    def add(self, request: memory.RememberRequest, *, said_ns: int | None = None) -> None:
        """Adds a turn to the queue and returns at once.

        Args:
            request: The turn.
            said_ns: When it began, on the clock of `time.monotonic_ns`; None: now. What the person
                erases after that is not stored.
        """
        now_ns = time.monotonic_ns()
        said_ns = now_ns if said_ns is None else said_ns
        if self._clock is not None:
            request.said_unix_ns = self._clock.at(said_ns)
        turn = PendingTurn(
            user_id=request.user_id,
            request=request,
            created_unix_ms=self._now_unix_ms() - (now_ns - said_ns) // 1_000_000,
            said_ns=said_ns,
        )
        metrics.REMEMBER.labels("queued").inc()
        self._hold(turn)
        if turn.is_gone:
            return
        if self._writer is None:
            self._deliver(turn)
        else:
            self._writer.write(turn)

    async def forget(self, user_id: str, item_ids: Collection[str] | None = None) -> None:
        """Removes turns of a user, also from the disk, after the memory has erased them.

        Args:
            user_id: The user.
            item_ids: Only these items; None: everything.

        Raises:
            InternalError: The disk fails; some of the data may still be there.
        """
        for turn in self._pending.of(user_id):
            if item_ids is None:
                self._settle(turn, "erased")
            elif self._pending.take_out(turn, item_ids):
                if turn.is_gone:
                    self._settled(turn, "erased")
                elif self._writer is not None:
                    self._writer.write(turn)
        if self._writer is not None:
            await self._writer.clear()

    async def close(self, *, timeout_s: float) -> None:
        """Delivers turns for at most `timeout_s`; the rest stays on disk."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        except TimeoutError:
            get_logger().warning(
                "turns wait for the memory", turns=self._pending.to_deliver, kept=bool(self._writer)
            )
        await self._delivering.close()
        if self._writer is not None and self._writing is not None:
            await self._writer.close(self._writing, timeout_s=_CLOSE_TIMEOUT_S)
        await self._supervised.close()

    def _hold(self, turn: PendingTurn) -> None:
        for dropped in self._pending.hold(turn):
            get_logger().error("a turn is dropped: the queue for the memory is full")
            self._settled(dropped, "dropped")
        self._count()

    def _written(self, turn: PendingTurn) -> None:
        if turn not in self._pending:  # an earlier gateway left it
            self._hold(turn)
        if not turn.is_gone:
            self._deliver(turn)

    def _deliver(self, turn: PendingTurn) -> None:
        self._pending.line_up(turn)
        if turn.user_id not in self._users:
            self._users.add(turn.user_id)
            self._delivering.start(self._deliver_all_of(turn.user_id))

    async def _deliver_all_of(self, user_id: str) -> None:
        try:
            while (turn := self._pending.first_of(user_id)) is not None:
                async with self._places:
                    await self._until_reachable()
                    pause_s = 0.0 if turn.is_gone else await self._attempt(turn)
                if pause_s:
                    await asyncio.sleep(pause_s)
        finally:
            self._users.discard(user_id)

    async def _attempt(self, turn: PendingTurn) -> float:
        """Sends a turn once; returns how long its user's line then waits, s."""
        age_ms = self._now_unix_ms() - turn.created_unix_ms
        if age_ms > MAX_AGE_MS:
            get_logger().error("a turn is dropped: it waited too long for the memory")
            self._settle(turn, "dropped")
            return 0.0
        try:
            # From these the memory knows what was erased after the turn, which must not come back.
            turn.request.age_ms = max(0, age_ms)
            await self._date(turn)
            answer = await self._send(turn.request, timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return 0.0 if turn.is_gone else self._failed(turn, error_from_rpc(error))
        if self._clock is not None:
            self._clock.answered(answer.clock_unix_ns)
        self._failures = 0
        self.is_memory_full = False
        self._resume_at = 0.0
        if not turn.is_gone:
            self._settle(turn, "delivered")
        return 0.0

    async def _date(self, turn: PendingTurn) -> None:
        """Sets when a turn was said on the memory's clock, if the memory says its clock."""
        if self._clock is None:
            return
        await self._clock.refresh()
        said_ns = turn.said_ns
        if said_ns is None:  # an earlier gateway has written it
            waited_ms = self._now_unix_ms() - turn.created_unix_ms + 1
            said_ns = time.monotonic_ns() - waited_ms * 1_000_000
        # Each of the two is a lower bound.
        turn.request.said_unix_ns = max(turn.request.said_unix_ns, self._clock.at(said_ns))

    def _failed(self, turn: PendingTurn, error: AnimaError) -> float:
        self.is_memory_full = error.reason == DISK_FULL_REASON
        if not turn.failed:
            turn.failed = True
            metrics.STAGE_FAILURES.labels("memory").inc()
            get_logger().warning("a turn is not remembered yet", problem=str(error))
        most = _most_refusals(error)
        if most is None:
            self._wait_for_memory()
            return 0.0
        turn.refusals += 1
        if turn.refusals < most:
            return _pause_s(turn.refusals)
        get_logger().error("a turn is set aside: the memory cannot take it", problem=str(error))
        metrics.REMEMBER.labels("set aside").inc()
        self._pending.set_aside(turn)
        self._count()
        return 0.0

    def _wait_for_memory(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._resume_at <= now:  # otherwise another turn has just found that out
            self._failures += 1
            self._resume_at = now + _pause_s(self._failures)

    async def _until_reachable(self) -> None:
        pause_s = self._resume_at - asyncio.get_running_loop().time()
        if pause_s > 0:
            await asyncio.sleep(pause_s)

    def _settle(self, turn: PendingTurn, result: str) -> None:
        self._pending.remove(turn)
        self._settled(turn, result)

    def _settled(self, turn: PendingTurn, result: str) -> None:
        metrics.REMEMBER.labels(result).inc()
        if self._writer is not None:
            self._writer.remove(turn)
        self._count()

    def _count(self) -> None:
        metrics.REMEMBER_WAITING.set(len(self._pending))
        if self._pending.to_deliver:
            self._empty.clear()
        else:
            self._empty.set()


def _most_refusals(error: AnimaError) -> int | None:
    """Returns after how many such errors a turn is set aside; None: never, others fail too."""
    too_large = isinstance(error, Busy) and error.retry_after_ms is None
    if too_large or isinstance(error, InvalidRequest):
        return _MOST_REFUSALS
    return _MOST_INTERNAL_ERRORS if isinstance(error, InternalError) else None


def _pause_s(failures: int) -> float:
    longest: float = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1.0)
