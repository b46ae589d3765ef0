"""Shared parts of the scripted stages: configs, interrupts, and the ways a stream can break."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from services.runtime.calls.streams import open_stream
from services.runtime.errors import AnimaError

FakeT = TypeVar("FakeT", bound="Fake")
Handler = Callable[[FakeT, Any, Any], Awaitable[None]]

GARBAGE = b"\xff" * 32
"""Bytes that are no message of any service."""


class _EndEarly(Exception):  # noqa: N818 (it is no error for the caller)
    """Ends a stream with OK."""


@dataclass(kw_only=True)
class Fake:
    """The base of all scripted stages.

    The fields whose names end in `_after` break a stream right after so many responses, `started`
    not counted.

    Attributes:
        refuse: Raised instead of starting a stream.
        refused: How many streams were refused.
        deaf: Interrupts are not answered and the work goes on.
        end_after: The stream ends with OK.
        garbage_after: The next message cannot be decoded; the stream goes on after it.
        raise_after: The handler raises an exception that it does not expect.
        break_times: How many streams break in these ways; the later ones do not.
        configs: The configs of all streams.
        interrupts: The epochs of all interrupts.
        open_streams: How many streams are being worked on.
        stream_ended: Wakes tasks that wait for the end of a stream.
    """

    refuse: AnimaError | None = None
    refused: int = 0
    deaf: bool = False
    end_after: int | None = None
    garbage_after: int | None = None
    raise_after: int | None = None
    break_times: int = 1_000
    configs: list[Any] = field(default_factory=list)
    interrupts: list[int] = field(default_factory=list)
    open_streams: int = 0
    stream_ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def opened(self, requests: Any) -> tuple[Any, AsyncIterator[Any]]:
        if self.refuse is not None:
            self.refused += 1
            raise self.refuse
        config, rest = await open_stream(requests)
        self.configs.append(config)
        return config, rest

    async def interruptible(
        self, work: Any, requests: AsyncIterator[Any], other: Callable[[Any], None]
    ) -> int | None:
        """Runs the work; returns the epoch if an interrupt stopped it."""
        working = asyncio.create_task(work)
        self.open_streams += 1
        stopped: list[int] = []

        async def listen() -> None:
            async for request in requests:
                if request.WhichOneof("message") != "interrupt":
                    other(request)
                    continue
                self.interrupts.append(request.interrupt.epoch)
                if not self.deaf:
                    stopped.append(request.interrupt.epoch)
                    working.cancel()
                    return

        listening = asyncio.create_task(listen())
        try:
            await asyncio.wait([working])
            if not working.cancelled():
                working.result()
            return stopped[0] if stopped else None
        finally:
            working.cancel()
            listening.cancel()
            try:
                await asyncio.wait([working, listening])
            finally:  # a stopping server also cancels a handler that is cleaning up
                self.open_streams -= 1
                self.stream_ended.set()
                self.stream_ended.clear()


def breakable(handler: Handler[FakeT]) -> Handler[FakeT]:
    """Makes a streaming handler break in the ways of `Fake`."""

    @functools.wraps(handler)
    async def handle(self: FakeT, requests: Any, context: Any) -> None:
        try:
            await handler(self, requests, _BreakingContext(self, context))
        except _EndEarly:
            return

    return handle


class _BreakingContext:
    """The context of a call, which counts what is written."""

    def __init__(self, fake: Fake, context: Any) -> None:
        self._fake = fake
        self._context = context
        self._written = -1
        self._broken = False

    async def write(self, message: Any) -> None:
        await self._context.write(message)
        self._written += 1
        if self._broken or self._fake.break_times <= 0:
            return
        if self._fake.end_after == self._written:
            self._break()
            raise _EndEarly
        if self._fake.raise_after == self._written:
            self._break()
            raise ZeroDivisionError("a fault of the scripted stage")
        if self._fake.garbage_after == self._written:
            self._break()
            await self._context.write(GARBAGE)

    def _break(self) -> None:
        self._broken = True
        self._fake.break_times -= 1
