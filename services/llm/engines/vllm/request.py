"""One request to vLLM's engine, from submission to end or abort."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Final, Self

from services.llm.engines.vllm.pace import CLAUSE_ENDS
from services.runtime.process.tasks import Tasks

MERGE_S: Final = 0.1
"""As often as the page shows new text; output of a slower model is never delayed."""
_SUBMISSIONS: Final = Tasks("vllm submissions", logged=False)
"""Errors are raised to the caller that submits."""
_ABORTS: Final = Tasks("vllm aborts")


class EngineRequest:
    """A request whose submission cannot be cancelled half-way.

    A cancel inside vLLM's `add_request` would leave the request in the engine for ever
    (vllm-project/vllm#57061). Here the submission always completes, and the request is then
    aborted. An async context manager; the engine has been informed when it exits.

    Attributes:
    merge_s: Output within this time, s, is returned together; half this time if it ends a
        clause, which a voice can speak; 0: nothing is delayed. A message for each token costs
        more than a small model does; set it once the first clause has been sent.
    """

    def __init__(self, engine: Any, request_id: str, **arguments: Any) -> None:
        self.merge_s = 0.0
        self._engine = engine
        self._request_id = request_id
        self._arguments = arguments
        self._collector: Any = None
        self._news = asyncio.Event()
        self._given_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._ended = False

    async def __aenter__(self) -> Self:
        submission = _SUBMISSIONS.start(
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
        if not self._ended and not self._engine.errored:
            await self._engine.abort(self._request_id)

    async def outputs(self) -> AsyncIterator[Any]:
        """Yields the engine's outputs, each with the text since the previous one.

        Raises:
            Exception: Any error raised by the engine.
        """
        while not self.merge_s:
            if self._ended:
                return
            output = self._collector.get_nowait() or await self._collector.get()
            self._ended = output.finished
            yield output
        self._gather()
        while not self._ended:
            await self._news.wait()
            self._news.clear()
            output = self._collector.get_nowait()
            self._given_s = asyncio.get_running_loop().time()
            if output is not None:
                self._ended = output.finished
                yield output

    def _gather(self) -> None:
        """Makes vLLM merge outputs; only ticks and the end wake the reader, not each token."""
        put = self._collector.put

        def put_and_tell(output: Any) -> None:
            put(output)
            if isinstance(output, Exception) or output.finished:
                self._news.set()
            else:
                ends_clause = not CLAUSE_ENDS.isdisjoint(output.outputs[0].text)
                self._tell_after(self.merge_s / 2 if ends_clause else self.merge_s)

        self._collector.put = put_and_tell
        self._given_s = asyncio.get_running_loop().time()
        if self._collector.ready.is_set():
            self._news.set()

    def _tell_after(self, tick_s: float) -> None:
        """Wakes the reader at the first tick after its last output, or at once.

        All requests share the same ticks, so that outputs sent together wake every reader once.
        """
        due_s = (self._given_s // tick_s + 1) * tick_s
        if self._timer is not None:
            if self._timer_at <= due_s:
                return
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        if loop.time() >= due_s:
            self._news.set()
        else:
            # Not `when()` of the handle: uvloop's has none if less than half a millisecond is left.
            self._timer = loop.call_at(due_s, self._ring)
            self._timer_at = due_s

    def _ring(self) -> None:
        self._timer = None
        self._news.set()

    def _abort_late(self, submission: asyncio.Task[Any]) -> None:
        if not submission.cancelled() and submission.exception() is None:
            _ABORTS.start(self._engine.abort(self._request_id))
