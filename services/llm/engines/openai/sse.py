"""The events of a streamed answer, read by httpx-sse with limits on size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

import httpx
from httpx_sse import EventSource

from services.runtime.errors import Unavailable

_MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
# Events are UTF-8 regardless of the server's header, and some servers send another content type.
_HEADERS: Final = {"content-type": "text/event-stream; charset=utf-8"}


class EventStream:
    """Reads the events of one response.

    Args:
        response: Open, with its body unread; the caller closes it.
        limit_s: The maximum time without a byte; comments of the server count as bytes.

    Attributes:
        limit_s: May be changed while the events are read.
    """

    def __init__(self, response: httpx.Response, *, limit_s: float) -> None:
        self.limit_s = limit_s
        self._response = response
        self._pending_bytes = 0

    async def data(self) -> AsyncGenerator[str, None]:
        """Yields the data of each event that has any.

        Raises:
            Unavailable: An event is too long.
            TimeoutError: Nothing arrived for `limit_s`.
            httpx.HTTPError: The connection broke.
        """
        body = httpx.Response(httpx.codes.OK, headers=_HEADERS, stream=_Body(self._pieces()))
        async with aclosing(EventSource(body).aiter_sse()) as events:
            async for event in events:
                self._pending_bytes = 0
                if event.data:
                    yield event.data

    async def _pieces(self) -> AsyncIterator[bytes]:
        pieces = self._response.aiter_bytes()
        while True:
            async with asyncio.timeout(self.limit_s):
                piece = await anext(pieces, None)
            if piece is None:
                # Some servers omit the empty line that ends the last event.
                yield b"\n\n"
                return
            self._pending_bytes += len(piece)
            if self._pending_bytes > _MAX_EVENT_BYTES:
                raise Unavailable("the model's server sent an event that is too long")
            yield piece


class _Body(httpx.AsyncByteStream):
    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces
