"""A page's WebSocket, as tests drive it, and the gateway's edge behind a real server."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import websockets

from gateway.http.app import create_app
from gateway.http.server import HttpServer
from gateway.realtime.limits import EdgeLimits
from gateway.stages.mesh import Mesh

Received = dict[str, Any] | bytes


class PageClient:
    """One connection; keeps all received messages."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.socket = connection
        self.received: list[Received] = []

    async def send(self, *events: dict[str, Any]) -> None:
        for event in events:
            await self.socket.send(json.dumps(event))

    async def ask(self, text: str) -> None:
        part = {"type": "input_text", "text": text}
        item = {"type": "message", "role": "user", "content": [part]}
        await self.send(
            {"type": "conversation.item.create", "item": item}, {"type": "response.create"}
        )

    async def configure(self, **own: Any) -> None:
        await self.send({"type": "session.update", "session": {"anima": own}})

    async def next(self) -> Received:
        data = await self.socket.recv()
        message: Received = json.loads(data) if isinstance(data, str) else data
        self.received.append(message)
        return message

    async def until(self, kind: str, fits: Callable[[dict[str, Any]], bool] | None = None) -> Any:
        """Reads until an event of a type comes, and returns it."""
        async with asyncio.timeout(90):
            while True:
                message = await self.next()
                if not isinstance(message, dict) or message["type"] != kind:
                    continue
                if fits is None or fits(message):
                    return message

    async def next_of(self, *kinds: str) -> dict[str, Any]:
        """Reads until an event of one of these types comes, and returns it."""
        while True:
            message = await self.next()
            if isinstance(message, dict) and message["type"] in kinds:
                return message

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [m for m in self.received if isinstance(m, dict) and m["type"] == kind]

    def media(self) -> list[bytes]:
        return [m for m in self.received if isinstance(m, bytes)]

    async def closed(self) -> tuple[int, str]:
        """Waits until the other side closes; returns its code and reason."""
        async with asyncio.timeout(90):
            try:
                while True:
                    await self.next()
            except websockets.ConnectionClosed as closed:
                close = closed.rcvd
        if close is None:
            raise AssertionError("the connection was cut without a close frame")
        return close.code, close.reason


class Page:
    """The address of the edge."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._port = port

    @asynccontextmanager
    async def client(
        self, *, host: str = "127.0.0.1", sock: socket.socket | None = None, **options: Any
    ) -> AsyncIterator[PageClient]:
        """Connects; `host` is the name in the Host header."""
        url = f"ws://{host}:{self._port}/v1/realtime"
        where = {"sock": sock} if sock else {"host": "127.0.0.1", "port": self._port}
        async with websockets.connect(url, max_size=None, **where, **options) as connected:
            yield PageClient(connected)


@asynccontextmanager
async def serving_page(mesh: Mesh, limits: EdgeLimits | None = None) -> AsyncIterator[Page]:
    """Serves the HTTP application on a free port of loopback."""
    server = HttpServer(create_app(mesh, limits=limits), mesh.settings)
    await server.start()
    try:
        yield Page(int(server.address.rpartition(":")[2]))
    finally:
        await server.stop()
