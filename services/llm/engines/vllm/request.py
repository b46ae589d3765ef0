"""One request to vLLM's engine, from its submission to its end or abort."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Final, Self

_END: Final = object()


class EngineRequest:
    """Reads the engine in a task of its own, so that nothing cancels the submission itself.

    A cancel in the middle of vLLM's `add_request` would leave the request behind for ever
    (vllm-project/vllm#57061). Here the submission always comes to its end, and the request is then
    aborted. An async context manager; at its end the engine has been told.
    """

    def __init__(self, engine: Any, request_id: str, **arguments: Any) -> None:
        self._engine = engine
        self._request_id = request_id
        self._arguments = arguments
        self._outputs: asyncio.Queue[Any] = asyncio.Queue()
        self._stopping = False
        self._reader: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._reader = asyncio.create_task(self._read(), name="vllm request")
        _READERS.add(self._reader)
        self._reader.add_done_callback(_READERS.discard)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping = True
        if not self._reader.done():
            await self._engine.abort(self._request_id)

    async def outputs(self) -> AsyncIterator[Any]:
        """What the engine gives, each with the text since the one before.

        Raises:
            Exception: What the engine raised.
        """
        while True:
            output = await self._outputs.get()
            if output is _END:
                return
            if isinstance(output, Exception):
                raise output
            yield output

    async def _read(self) -> None:
        stream = self._engine.generate(request_id=self._request_id, **self._arguments)
        try:
            async for output in stream:
                if self._stopping:  # the abort came before the request was known
                    break
                self._outputs.put_nowait(output)
        except Exception as error:
            self._outputs.put_nowait(error)
        else:
            self._outputs.put_nowait(_END)
        finally:
            await stream.aclose()


_READERS: set[asyncio.Task[None]] = set()
"""Held until they end: a task that nobody holds may vanish."""
