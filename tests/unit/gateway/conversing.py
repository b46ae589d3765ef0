"""Runs a conversation in a test and collects its events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.session.session import Session
from gateway.stages.mesh import Mesh
from testing.fakes.direct import DirectStages
from testing.virtual_time import in_virtual_time

Event = pb.ConverseResponse

RATE = 24_000
SENTENCES = [f" This is sentence number {number} of the long answer." for number in range(30)]
LONG = ("Well, let me see,", *SENTENCES)


def run(main: Any) -> Any:
    """Runs a test against scripted stages in virtual time."""

    async def with_stages() -> Any:
        return await main(DirectStages())

    return in_virtual_time(with_stages)


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Transcript:
    """The events of a session, with the loop's time of each.

    Attributes:
        ended: Set when the session has sent its last event.
    """

    events: list[tuple[float, Event]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, event: Event) -> None:
        self.events.append((asyncio.get_running_loop().time(), event))
        self.changed.set()
        self.changed = asyncio.Event()

    def all(self, kind: str) -> list[Any]:
        return [getattr(e, kind) for _, e in self.events if e.WhichOneof("event") == kind]

    def times(self, kind: str) -> list[float]:
        return [at for at, e in self.events if e.WhichOneof("event") == kind]

    def kinds(self) -> list[str]:
        return [str(e.WhichOneof("event")) for _, e in self.events]

    async def until(self, found: Callable[[], Any], *, timeout_s: float = 90) -> Any:
        """Waits until a function of the events returns a value, and returns it."""
        async with asyncio.timeout(timeout_s):
            while not (result := found()):
                await self.changed.wait()
        return result

    async def until_kind(self, kind: str, count: int = 1, *, timeout_s: float = 90) -> Any:
        """Waits for the `count`-th event of a kind."""
        await self.until(lambda: len(self.all(kind)) >= count, timeout_s=timeout_s)
        return self.all(kind)[count - 1]

    async def until_end(self, *, timeout_s: float = 90) -> None:
        """Waits until the session has sent its last event."""
        async with asyncio.timeout(timeout_s):
            await self.ended.wait()

    def problem(self) -> str:
        return " ".join(self.kinds())


@asynccontextmanager
async def conversation(
    mesh: Mesh, config: pb.ConverseConfig | None = None
) -> AsyncIterator[tuple[Session, Transcript]]:
    """Opens a session and reads its events as they arrive."""
    transcript = Transcript()
    async with Session.open(mesh, config or pb.ConverseConfig()) as session:

        async def read() -> None:
            async for event in session.events():
                transcript.add(event)
            transcript.ended.set()

        reading = asyncio.create_task(read())
        try:
            yield session, transcript
        finally:
            reading.cancel()
            await asyncio.wait([reading])


@asynccontextmanager
async def grpc_conversation(
    gateway: Any, config: pb.ConverseConfig | None = None, **call_options: Any
) -> AsyncIterator[tuple[Callable[[pb.ConverseRequest], Any], Transcript]]:
    """Opens a conversation over gRPC; yields a send function and the received events."""
    transcript = Transcript()
    call = gateway.Converse(**call_options)
    await call.write(pb.ConverseRequest(config=config or pb.ConverseConfig()))

    async def read() -> None:
        while (event := await call.read()) is not grpc.aio.EOF:
            transcript.add(event)
        transcript.ended.set()

    reading = asyncio.create_task(read())
    try:
        yield call.write, transcript
    finally:
        call.cancel()
        reading.cancel()
        await asyncio.wait([reading])
