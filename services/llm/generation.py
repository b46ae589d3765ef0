"""One answer while it is written: the engine on one side, the client's interrupt on the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from types import TracebackType
from typing import Self

from anima.common.v1 import Interrupt
from anima.llm.v1 import GenerateRequest
from services.llm.engine import Delta, End, LlmEngine
from services.llm.prompt import Prompt
from services.runtime.errors import InternalError, InvalidRequest

Event = Delta | End | Interrupt


class Generation:
    """Reads the engine until it ends or the client interrupts; an async context manager.

    The engine's generator lives in one task from its first line to its last, as libraries with
    timeouts and cancel scopes need it. At the end of the context that task has ended.
    """

    def __init__(
        self,
        engine: LlmEngine,
        prompt: Prompt,
        requests: AsyncIterator[GenerateRequest],
        epoch: int,
    ) -> None:
        self._engine = engine
        self._prompt = prompt
        self._requests = requests
        self._epoch = epoch
        self._written: asyncio.Queue[Delta | End] = asyncio.Queue(maxsize=1)
        self._writer: asyncio.Task[None]
        self._listener: asyncio.Task[Interrupt]

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write(), name="llm engine")
        self._listener = asyncio.create_task(self._listen(), name="llm interrupt")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.cancel()
        await self.stop()
        await asyncio.wait({self._listener})

    async def stop(self) -> None:
        """Ends the engine's work; returns when it has ended."""
        self._writer.cancel()
        await asyncio.wait({self._writer})

    async def next_event(self) -> Event:
        """What comes first: more of the answer, its end, or an interrupt.

        Raises:
            InvalidRequest: The client sent what it may not.
            InternalError: The engine stopped without an end.
            Exception: What the engine raised.
        """
        reader = asyncio.create_task(self._written.get())
        try:
            await asyncio.wait(
                {reader, self._writer, self._listener}, return_when=asyncio.FIRST_COMPLETED
            )
            if self._listener.done():
                return self._listener.result()
            if not reader.done() and not self._written.empty():
                await asyncio.wait({reader})
            if reader.done():
                return reader.result()
            self._writer.result()
            raise InternalError("the engine stopped without an end")
        finally:
            reader.cancel()

    async def _write(self) -> None:
        async with aclosing(self._engine.answer(self._prompt)) as answer:
            async for event in answer:
                await self._written.put(event)

    async def _listen(self) -> Interrupt:
        async for request in self._requests:
            interrupt = request.interrupt
            if interrupt.epoch <= self._epoch:
                raise InvalidRequest(
                    f"interrupt.epoch: {interrupt.epoch} is not above the stream's {self._epoch}"
                )
            return interrupt
        # Half-close says only that no interrupt will come: the answer goes on.
        never: asyncio.Future[Interrupt] = asyncio.get_running_loop().create_future()
        return await never
