"""One request to vLLM's engine, from its submission to its end or abort."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Final, Self

MERGE_S: Final = 0.02
"""Less than a voice or a page shows; a model that writes slower is never held back."""
_HELD: set[asyncio.Task[Any]] = set()
"""Held until they end: a task that nobody holds may vanish."""


class EngineRequest:
    """A request that nothing cancels in the middle of its submission.

    A cancel inside vLLM's `add_request` would leave the request behind for ever
    (vllm-project/vllm#57061). Here the submission always comes to its end, and the request is then
    aborted. An async context manager; at its end the engine has been told.

    Attributes:
        merges: Whether what comes within `MERGE_S` is given out together. A message for each token
            costs more than a small model does; set it once the first words are out.
    """

    def __init__(self, engine: Any, request_id: str, **arguments: Any) -> None:
        self.merges = False
        self._engine = engine
        self._request_id = request_id
        self._arguments = arguments
        self._collector: Any = None
        self._unread: list[Any] = []
        self._news = asyncio.Event()
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        submission = _held(
            self._engine.add_request(
                self._request_id, self._arguments.pop("prompt"), **self._arguments
            )
        )
        try:
            self._collector = await asyncio.shield(submission)
        except asyncio.CancelledError:
            submission.add_done_callback(self._abort_late)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._reader is not None:
            self._reader.cancel()
        if not self._ended and not self._engine.errored:
            await self._engine.abort(self._request_id)

    async def outputs(self) -> AsyncIterator[list[Any]]:
        """What the engine gives, each with the text since the one before; all that is there.

        Raises:
            Exception: What the engine raised.
        """
        while not self.merges:
            if self._ended:
                return
            yield [await self._next()]
        loop = asyncio.get_running_loop()
        self._due_s = loop.time() + MERGE_S
        self._reader = _held(self._read())
        while not self._reader.done() or self._unread:
            await self._news.wait()
            self._news.clear()
            outputs, self._unread = self._unread, []
            self._due_s = loop.time() + MERGE_S
            if outputs:
                yield outputs
        self._reader.result()

    async def _next(self) -> Any:
        output = self._collector.get_nowait() or await self._collector.get()
        self._ended = output.finished
        return output

    async def _read(self) -> None:
        try:
            while not self._ended:
                output = await self._next()
                self._unread.append(output)  # not in one line: the list may be another one by now
                self._tell()
        finally:
            # once more after the last: the reader ends with what it returns or raises
            asyncio.get_running_loop().call_soon(self._news.set)

    def _tell(self) -> None:
        """Wakes the reader, at once or when it is time to."""
        if self._ended:
            self._news.set()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            if loop.time() >= self._due_s:
                self._news.set()
            else:
                self._timer = loop.call_at(self._due_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._news.set()

    def _abort_late(self, submission: asyncio.Task[Any]) -> None:
        if not submission.cancelled() and submission.exception() is None:
            _held(self._engine.abort(self._request_id))


def _held(coroutine: Any) -> asyncio.Task[Any]:
    task = asyncio.get_running_loop().create_task(coroutine)
    _HELD.add(task)
    task.add_done_callback(_let_go)
    return task


def _let_go(task: asyncio.Task[Any]) -> None:
    _HELD.discard(task)
    if not task.cancelled():
        task.exception()  # whoever still waits for it is told; nobody else needs to be
