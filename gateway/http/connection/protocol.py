"""uvicorn's protocols with deadlines for a client that has not authenticated yet."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Response
from websockets.server import ServerProtocol

from gateway.http.connection.connections import (
    ClientConnection,
    ConnectionTable,
    connection_of,
    report_closed,
    state_of,
)
from gateway.http.headers import SECURITY_HEADERS

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

_SERVE_S: Final = 30.0
"""How long an answer to a client without a token may take."""
_CLOSE_S: Final = 2.0
_MAX_FIRST_BYTES: Final = 16 * 1024
"""The largest message of a WebSocket before its token was accepted."""


class EdgeProtocol(H11Protocol):
    """HTTP/1.1 in which a request's head must arrive in time.

    uvicorn limits only the time between two requests: a client that sends half of a head would keep
    its connection for ever.

    Args:
        config: The configuration of the server.
        server_state: Its state.
        table: The connections.
        head: What the client has sent already, usually the head of its first request.
        head_timeout_s: How long the head of a request may take from its first byte.
    """

    def __init__(
        self,
        *,
        config: uvicorn.Config,
        server_state: ServerState,
        table: ConnectionTable,
        head: bytes,
        head_timeout_s: float,
    ) -> None:
        super().__init__(config=config, server_state=server_state, app_state={})
        self._table = table
        self._head = head
        self._head_timeout_s = head_timeout_s
        self._timer: asyncio.TimerHandle | None = None
        self._accepted = False
        self._entry: ClientConnection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes a place, and reads what the client has sent already."""
        transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        entry = self._table.opened(str(peer[0]) if peer else "", transport.abort)
        if entry is None:
            report_closed("connections")
            transport.abort()
            return
        self._accepted, self._entry = True, entry
        self.app_state = state_of(entry)
        super().connection_made(transport)
        head, self._head = self._head, b""
        self.data_received(head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Frees the place."""
        if not self._accepted:
            return
        self._stop_timer()
        super().connection_lost(exc)
        self._entry.closed()

    def data_received(self, data: bytes) -> None:
        """Takes bytes of a head or a body."""
        if not self._accepted:
            return
        before = self.cycle
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._stop_timer()  # closed, or a WebSocket now
        elif self.cycle is not before:
            self._serve()
        elif self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()

    def on_response_complete(self) -> None:
        """Waits for the next request, or serves one that has arrived meanwhile."""
        self._stop_timer()
        before = self.cycle
        super().on_response_complete()
        self._entry.progress()
        if self.cycle is not before:
            self._serve()

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP, with the security headers and without the words of a page."""
        headers = {
            **SECURITY_HEADERS,
            "content-type": "text/plain; charset=utf-8",
            "content-length": str(len(msg)),
            "connection": "close",
        }
        head = h11.Response(status_code=400, headers=list(headers.items()), reason=b"Bad Request")
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            for event in (head, h11.Data(data=msg.encode("ascii")), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _serve(self) -> None:
        self._entry.progress()
        self._stop_timer()
        self._timer = self.loop.call_later(_SERVE_S, self._check_served)

    def _check_served(self) -> None:
        self._timer = None
        if not self._entry.authenticated:
            self._abort("answer")

    def _await_head(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self._head_timeout_s, self._abort, "head")

    def _abort(self, reason: str) -> None:
        self._timer = None
        report_closed(reason)
        self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class EdgeWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that belongs to a connection of the table."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.close_timeout = _CLOSE_S
        self.conn = _Handshake(max_size=_MAX_FIRST_BYTES, logger=logging.getLogger("uvicorn.error"))
        self._entry = connection_of({"state": app_state})
        if self._entry is not None:
            self._entry.progress()
            self._entry.when_authenticated(self._allow_messages)

    def connection_lost(self, exc: Exception | None) -> None:
        """Frees the place of the connection."""
        super().connection_lost(exc)
        if self._entry is not None:
            self._entry.closed()

    async def send(self, message: ASGISendEvent) -> None:
        """Sends a message of the application.

        A handshake that was answered with a refusal is complete: uvicorn would log it as an error
        of the application.
        """
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True

    def _allow_messages(self) -> None:
        self.conn.max_message_size = self.config.ws_max_size


class _Handshake(ServerProtocol):
    """The WebSocket protocol, whose own refusals carry the security headers."""

    def reject(self, status: Any, text: str) -> Response:
        """Returns the answer to a handshake that is broken."""
        response = super().reject(status, text)
        for name, value in SECURITY_HEADERS.items():
            response.headers[name] = value
        return response
