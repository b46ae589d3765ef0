"""Writes the journal of the queue: all blocking work runs in one thread, in batches."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from anima.memory.v1 import memory_pb2 as memory
from gateway.remember_queue.journal import Journal, JournalError, Record
from gateway.remember_queue.pending import PendingTurn
from services.runtime.errors import InternalError
from services.runtime.observing.logs import get_logger
from services.runtime.process.compute import Compute

_REMOVE_S: Final = 1.0
"""How long delivered turns may stay on disk; until then they are removed with the next write."""
_SCRUB_S: Final = 60.0
"""How long the text of removed turns may stay in unused parts of the file."""


class JournalWriter:
    """Writes and removes turns. If the file cannot be used, this is logged and the queue goes on.

    Args:
        folder: The folder of this gateway's file.
        key: The key that encrypts the file; None: it is not encrypted.
        on_written: Called with each turn once it is on disk, in the order of `write`, or once
            writing has failed.
    """

    def __init__(
        self, folder: Path, key: bytes | None, *, on_written: Callable[[PendingTurn], None]
    ) -> None:
        self._folder = folder
        self._key = key
        self._on_written = on_written
        self._thread = Compute(threads=1, name="remember-queue")
        self._journal: Journal | None = None
        self._is_usable = True
        self._added: list[PendingTurn] = []
        self._removed: list[int] = []
        self._cleared: list[asyncio.Future[None]] = []
        self._more = asyncio.Event()
        self._closing = False
        self._scrub_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def write(self, turn: PendingTurn) -> None:
        """Schedules a write of a turn; a turn with a row replaces that row."""
        self._added.append(turn)
        self._more.set()

    def remove(self, turn: PendingTurn) -> None:
        """Schedules the removal of a turn, if it is on disk."""
        if turn.row:
            self._removed.append(turn.row)
            self._wake_in(_REMOVE_S)

    async def clear(self) -> None:
        """Performs scheduled removals now; returns once the files contain nothing of them.

        Raises:
            InternalError: The disk fails.
        """
        done = asyncio.get_running_loop().create_future()
        self._cleared.append(done)
        self._more.set()
        await done

    async def run(self) -> None:
        """Runs until `close`; first loads the turns that an earlier gateway left."""
        for turn in await self._thread.run(self._left):
            self._on_written(turn)
        while True:
            await self._more.wait()
            self._more.clear()
            while self._added or self._removed:
                if not await self._write():
                    break
            await self._scrub_if_due()
            if self._closing:
                return

    async def close(self, work: asyncio.Task[None], *, timeout_s: float) -> None:
        """Lets `run` (the task `work`) finish writing everything; closes the file."""
        self._closing = True
        if self._scrub_at is not None:
            self._scrub_at = _now()
        self._more.set()
        await asyncio.wait([work], timeout=timeout_s)
        if self._timer is not None:
            self._timer.cancel()
        if self._journal is not None and work.done():
            await self._thread.run(self._journal.close)
        self._thread.close()

    def _left(self) -> list[PendingTurn]:
        if not self._folder.is_dir():
            return []
        try:
            records = self._opened().load()
        except (JournalError, sqlite3.Error) as error:
            self._give_up(error)
            return []
        return [turn for record in records if (turn := _turn_of(record)) is not None]

    async def _write(self) -> bool:
        turns = [turn for turn in self._added if not turn.is_gone]
        new = [turn for turn in turns if not turn.row]
        removed, self._added, self._removed = self._removed, [], []
        problem = await self._thread.run(self._change, turns, removed)
        if problem:
            self._removed = removed + self._removed
            self._fail_clearing(problem)
            self._wake_in(_SCRUB_S)
        elif removed and self._scrub_at is None:
            self._scrub_at = _now() + _SCRUB_S
        for turn in new:
            if turn.is_gone:  # dropped or erased meanwhile
                self.remove(turn)
            else:
                self._on_written(turn)
        return not problem

    def _change(self, turns: list[PendingTurn], removed: list[int]) -> str:
        """Returns the problem; empty: everything is written, or there is no file."""
        try:
            journal = self._opened() if self._is_usable else None
        except JournalError as error:
            self._give_up(error)
            journal = None
        if journal is None:
            return ""
        records = [
            Record(
                created_unix_ms=turn.created_unix_ms,
                request=turn.request.SerializeToString(),
                row=turn.row,
            )
            for turn in turns
        ]
        try:
            rows = journal.change(records, removed)
        except sqlite3.Error as error:
            get_logger().error("turns wait in memory only", turns=len(turns), exc_info=error)
            return str(error)
        for turn, row in zip(turns, rows, strict=True):
            turn.row = row
        return ""

    async def _scrub_if_due(self) -> None:
        due = self._scrub_at is not None and _now() >= self._scrub_at
        if self._journal is not None and (due or self._cleared):
            try:
                await self._thread.run(self._journal.scrub)
                self._scrub_at = None
            except sqlite3.Error as error:
                get_logger().error("the queue's file could not be scrubbed", exc_info=error)
                self._scrub_at = _now() + _SCRUB_S
                self._fail_clearing(str(error))
        for done in self._cleared:
            done.set_result(None)
        self._cleared = []
        if self._scrub_at is not None:
            self._wake_in(self._scrub_at - _now())

    def _opened(self) -> Journal:
        if self._journal is None:
            self._journal = Journal.open(self._folder, self._key)
        return self._journal

    def _give_up(self, error: Exception) -> None:
        self._is_usable = False
        get_logger().error("turns wait for the memory without a file", problem=str(error))

    def _fail_clearing(self, problem: str) -> None:
        cleared, self._cleared = self._cleared, []
        for done in cleared:
            done.set_exception(
                InternalError(
                    "the memory has erased it, but the gateway's queue on disk still has a part of"
                    f" it: {problem}. Forget again"
                )
            )

    def _wake_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        if self._timer is not None:
            if loop.time() < self._timer_at <= at:
                return
            self._timer.cancel()
        # uvloop returns a handle without a time for a time that has passed.
        self._timer = loop.call_at(at, self._more.set)
        self._timer_at = at


def _turn_of(record: Record) -> PendingTurn | None:
    try:
        request = memory.RememberRequest.FromString(record.request)
    except DecodeError as error:
        get_logger().error("a turn in the queue's file is damaged", exc_info=error)
        return None
    return PendingTurn(
        user_id=request.user_id,
        request=request,
        created_unix_ms=record.created_unix_ms,
        row=record.row,
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
