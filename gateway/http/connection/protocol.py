"""uvicorn's protocols with deadlines for a client that has not authenticated yet."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, cast

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

_SERVE_S: Final = 30.0
"""How long an answer to a client without a token may take."""
_CLOSE_S: Final = 2.0
_MAX_FIRST_BYTES: Final = 16 * 1024
"""The largest message of a WebSocket before its token was accepted."""


class SilentProtocol(asyncio.Protocol):
    """A connection that has sent nothing yet: it costs a place and a timer, no parser.

    Args:
        config: The configuration of the server.
        server_state: Its state.
        table: The connections.
        head_timeout_s: How long the first byte may take, and then the rest of a request's head.
    """

    def __init__(
        self,
        *,
        config: uvicorn.Config,
        server_state: ServerState,
        table: ConnectionTable,
        head_timeout_s: float,
    ) -> None:
        self._config = config
        self._server_state = server_state
        self._table = table
        self._head_timeout_s = head_timeout_s
        self._transport: asyncio.Transport
        self._entry: ClientConnection | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes a place, and waits for the first byte."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._entry = self._table.opened(str(peer[0]) if peer else "", self._transport.abort)
        if self._entry is None:
            report_closed("connections")
            self._transport.abort()
            return
        self._server_state.connections.add(cast(Any, self))
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._head_timeout_s, self._abort)

    def data_received(self, data: bytes) -> None:
        """Makes the protocol that reads the request."""
        if self._entry is None:
            return
        self._leave()
        protocol = EdgeProtocol(
            config=self._config,
            server_state=self._server_state,
            entry=self._entry,
            head_timeout_s=self._head_timeout_s,
        )
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Frees the place."""
        self._leave()
        if self._entry is not None:
            self._entry.closed()

    def shutdown(self) -> None:
        """Closes the connection, because the server stops."""
        self._transport.close()

    def _abort(self) -> None:
        report_closed("head")
        self._transport.abort()

    def _leave(self) -> None:
        self._server_state.connections.discard(cast(Any, self))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class EdgeProtocol(H11Protocol):
    """HTTP/1.1 in which a request's head must arrive in time.

    uvicorn limits only the time between two requests: a client that sends half of a head would keep
    its connection for ever.

    Args:
        config: The configuration of the server.
        server_state: Its state.
        entry: The connection.
        head_timeout_s: How long the head of a request may take from its first byte.
    """

    def __init__(
        self,
        *,
        config: uvicorn.Config,
        server_state: ServerState,
        entry: ClientConnection,
        head_timeout_s: float,
    ) -> None:
        super().__init__(config=config, server_state=server_state, app_state=state_of(entry))
        self._head_timeout_s = head_timeout_s
        self._timer: asyncio.TimerHandle | None = None
        self._entry = entry

    def connection_lost(self, exc: Exception | None) -> None:
        """Frees the place."""
        self._stop_timer()
        super().connection_lost(exc)
        self._entry.closed()

    def data_received(self, data: bytes) -> None:
        """Takes bytes of a head or a body."""
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
