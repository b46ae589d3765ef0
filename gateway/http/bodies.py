"""The bodies of requests: a client that sends one too slowly is answered with 408."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.problems import Problem
from services.runtime.limits.progress import StreamLimits

UPLOAD: Final = StreamLimits(silence_s=10.0, least_bytes_per_s=32 * 1024, upload_s=300.0)
"""The limits of a body, as of a stream with a photo or a document."""
_GRACE_S: Final = 10.0
_NO_LIMIT_S: Final = 86_400.0


class PacedBodies:
    """Middleware that limits how long the body of a request may take.

    Args:
        app: The application, which receives a `Problem` when the client is too slow.
        limits: The limits of a body; None: those of uploads.
    """

    def __init__(self, app: ASGIApp, *, limits: StreamLimits | None = None) -> None:
        self._app = app
        self._limits = limits or UPLOAD

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] == "http":
            receive = _Body(receive, self._limits)
        await self._app(scope, receive, send)


class _Body:
    """Receives one body."""

    def __init__(self, receive: Receive, limits: StreamLimits) -> None:
        self._receive = receive
        self._limits = limits
        self._start_s = asyncio.get_running_loop().time()
        self._bytes = 0
        self._waited_s = 0.0
        self._complete = False

    async def __call__(self) -> Message:
        """Returns the next part of the body, then what follows it.

        Raises:
            Problem: 408: the client is too slow.
        """
        if self._complete:
            return await self._receive()
        began_s = asyncio.get_running_loop().time()
        left_s, text = self._left(began_s)
        try:
            async with asyncio.timeout(left_s):
                message = await self._receive()
        except TimeoutError:
            # The rest of the body would be taken for the next request.
            raise Problem(408, text, {"connection": "close"}) from None
        self._waited_s += asyncio.get_running_loop().time() - began_s
        self._bytes += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        return message

    def _left(self, now_s: float) -> tuple[float, str]:
        """Returns how long the next part may take, and what to say if it takes longer."""
        limits = self._limits
        silence_s, upload_s = limits.silence_s or _NO_LIMIT_S, limits.upload_s or _NO_LIMIT_S
        rate = limits.least_bytes_per_s
        allowed_s = _GRACE_S + self._bytes / rate if rate else _NO_LIMIT_S
        return min(
            (silence_s, f"the body stopped for {silence_s:g} s; send it without pauses"),
            (self._start_s + upload_s - now_s, f"the body may take at most {upload_s:g} s"),
            (allowed_s - self._waited_s, f"the body arrives at less than {rate} bytes/s"),
        )
