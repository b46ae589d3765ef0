"""One answer in progress: the engine on one side, the client's interrupt on the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from types import TracebackType
from typing import Self

from anima.common.v1 import Interrupt
from anima.llm.v1 import GenerateRequest
from services.llm.engine import Item
from services.runtime.errors import InternalError, InvalidRequest
from services.runtime.process.tasks import Tasks, cancelled

Event = Item | Interrupt


class Generation:
    """Reads the engine until it ends or the client interrupts; an async context manager.

    The engine's generator runs in one task from start to end, as libraries with timeouts and
    cancel scopes require. That task has ended when the context exits.
    """

    def __init__(
        self,
        answer: AsyncGenerator[Item, None],
        requests: AsyncIterator[GenerateRequest],
        epoch: int,
    ) -> None:
        self._answer = answer
        self._requests = requests
        self._epoch = epoch
        self._unread: Item | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._writer: asyncio.Task[None]
        self._listener: asyncio.Task[Interrupt]

    async def __aenter__(self) -> Self:
        tasks = Tasks("llm generation", logged=False)  # `next_event` raises their errors
        self._writer = tasks.start(self._write(), name="llm engine")
        self._listener = tasks.start(self._listen(), name="llm interrupt")
        for task in (self._writer, self._listener):
            task.add_done_callback(lambda _: self._news.set())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await cancelled([self._writer, self._listener])

    async def stop(self) -> None:
        """Stops the engine's work and waits until it has ended."""
        await cancelled([self._writer])

    async def next_event(self) -> Event:
        """Returns the next event: more of the answer, its end, or an interrupt.

        Raises:
            InvalidRequest: The client sent an invalid message.
            InternalError: The engine stopped without an end.
            Exception: Any error raised by the engine.
        """
        while True:
            if self._listener.done():
                return self._listener.result()
            if self._unread is not None:
                event, self._unread = self._unread, None
                self._room.set()
                return event
            if self._writer.done():
                self._writer.result()
                raise InternalError("the engine stopped without an end")
            self._news.clear()
            await self._news.wait()

    async def _write(self) -> None:
        async with aclosing(self._answer) as answer:
            async for event in answer:
                while self._unread is not None:
                    self._room.clear()
                    await self._room.wait()
                self._unread = event
                self._news.set()

    async def _listen(self) -> Interrupt:
        async for request in self._requests:
            interrupt = request.interrupt
            if interrupt.epoch <= self._epoch:
                raise InvalidRequest(
                    f"interrupt.epoch: {interrupt.epoch} is not above the stream's {self._epoch}"
                )
            return interrupt
        # Half-close only means that no interrupt will come: the answer continues.
        never: asyncio.Future[Interrupt] = asyncio.get_running_loop().create_future()
        return await never
