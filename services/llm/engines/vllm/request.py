"""One request to vLLM's engine, from its submission to its end or abort."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Final, Self

MERGE_S: Final = 0.008
"""Less than a voice or a page shows; a model that writes slower than that is never held back."""
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
        self._unread: list[Any] = []
        self._news = asyncio.Event()
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._error: Exception | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        submission = _held(
            self._engine.add_request(
                self._request_id, self._arguments.pop("prompt"), **self._arguments
            )
        )
        try:
            collector = await asyncio.shield(submission)
        except asyncio.CancelledError:
            submission.add_done_callback(self._abort_late)
            raise
        self._reader = asyncio.create_task(self._read(collector), name="vllm request")
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
        if not self._ended:
            await self._engine.abort(self._request_id)

    async def outputs(self) -> AsyncIterator[list[Any]]:
        """What the engine gives, each with the text since the one before; all that is there.

        Raises:
            Exception: What the engine raised.
        """
        loop = asyncio.get_running_loop()
        while True:
            await self._news.wait()
            self._news.clear()
            outputs, self._unread = self._unread, []
            self._due_s = loop.time() + MERGE_S
            if outputs:
                yield outputs
            if self._error is not None:
                raise self._error
            if self._ended and not self._unread:
                return

    async def _read(self, collector: Any) -> None:
        try:
            while not self._ended:
                output = collector.get_nowait() or await collector.get()
                self._unread.append(output)
                self._ended = output.finished
                self._tell()
        except Exception as error:
            self._error, self._ended = error, True
            self._news.set()

    def _tell(self) -> None:
        """Wakes the reader, at once or when it is time to."""
        if self._ended or not self.merges:
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
    task.add_done_callback(_HELD.discard)
    return task
