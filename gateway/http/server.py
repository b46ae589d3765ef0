"""The HTTP server of the gateway: uvicorn in the event loop of the gRPC server.

Connections are accepted by the gateway's own loop, and bounded before their client is known.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from gateway.http.connection import client_faults
from gateway.http.connection.connections import ConnectionTable
from gateway.http.connection.places import AddressGroups
from gateway.http.connection.protocol import EdgeProtocol, EdgeWebSocket
from gateway.http.connection.waiting_room import WaitingRoom
from gateway.settings import GatewaySettings
from services.runtime.config.settings import SettingsError, split_address
from services.runtime.process.tasks import Tasks, beside

_GRACE_S = 5
_KEEP_ALIVE_S = 5
_BACKLOG = 1024
_UNREAD_S = 30
"""How long a client may leave an answer unread, or its machine may not respond."""


class HttpServer:
    """Serves an application and leaves signal handling to the process.

    Attributes:
        address: The address on which it listens, with the actual port; empty before `start`.
    """

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self.address = ""
        self._settings = settings
        client_faults.install()
        config = uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            lifespan="off",
            http=EdgeProtocol,
            ws=EdgeWebSocket,
            timeout_keep_alive=_KEEP_ALIVE_S,
            server_header=False,
            forwarded_allow_ips=list(settings.http_proxies),
            timeout_graceful_shutdown=_GRACE_S,
            ws_max_size=settings.max_message_bytes,
            ws_per_message_deflate=False,
        )
        self._server = _Server(config, settings)
        self._tasks = Tasks("http")
        self._task: asyncio.Task[None] | None = None
        self._listener: socket.socket | None = None

    async def start(self) -> None:
        """Starts listening.

        Raises:
            SettingsError: The server cannot listen on the address.
        """
        listen = self._settings.http_listen
        host, port = split_address("http_listen", listen)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            raise SettingsError(
                f"ANIMA_GATEWAY_HTTP_LISTEN: cannot listen on {listen}: {error}"
            ) from error
        # Connections inherit both. asyncio sets the first one only where it makes the listener: an
        # answer of a head and a body then waits for 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_S * 1000)
        self._listener = listener
        bound = listener.getsockname()[1]
        self.address = f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"
        self._task = self._tasks.start(self._server.serve([listener]), name="http")

    async def watch(self, report: Callable[[str], Awaitable[None]]) -> None:
        """Waits until the server has ended by itself, which makes the page and REST unreachable.

        Args:
            report: Called with the reason why the gateway is no longer ready.
        """
        if self._task is not None:
            await asyncio.wait([self._task])
            if not self._server.should_exit:
                await report("the HTTP server of the gateway has ended")

    async def stop(self) -> None:
        """Stops the server; open requests have 5 s to finish."""
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._listener is not None:
            self._listener.close()  # a server that has failed leaves it open


class _Server(uvicorn.Server):
    """uvicorn with another accept loop and without signal handlers.

    On SIGTERM gRPC drains, then HTTP stops.
    """

    def __init__(self, config: uvicorn.Config, settings: GatewaySettings) -> None:
        super().__init__(config)
        self.servers = []  # none of asyncio's
        self._head_timeout_s = settings.http_head_timeout_s
        groups = AddressGroups(settings.http_proxies)
        self._table = ConnectionTable(
            most=settings.http_connections,
            unauthenticated=settings.http_unauthenticated,
            per_address=settings.http_unauthenticated_per_address,
            groups=groups,
        )
        self._waiting_room = WaitingRoom(
            most=settings.http_waiting,
            per_address=settings.http_waiting_per_address,
            groups=groups,
            first_byte_timeout_s=settings.http_first_byte_timeout_s,
            head_timeout_s=settings.http_head_timeout_s,
            admit=self._admit,
            make_room=self._table.close_oldest,
        )
        self._listeners: list[socket.socket] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Prepares the listeners; `main_loop` accepts their connections."""
        await self.lifespan.startup()
        self._listeners = sockets or []
        for listener in self._listeners:
            listener.setblocking(False)
        self.started = True

    async def main_loop(self) -> None:
        """Accepts connections until the server is told to end."""
        waiting = self._waiting_room.serve(self._listeners)
        async with beside(waiting, name="http-accept"):
            await super().main_loop()

    async def _admit(self, connection: socket.socket, head: bytes) -> None:
        def protocol() -> EdgeProtocol:
            return EdgeProtocol(
                config=self.config,
                server_state=self.server_state,
                table=self._table,
                head=head,
                head_timeout_s=self._head_timeout_s,
            )

        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)
        except OSError:  # it was closed meanwhile
            connection.close()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals alone."""
        yield
