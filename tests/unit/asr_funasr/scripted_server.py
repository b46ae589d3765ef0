"""A server with FunASR's protocol that says what the test tells it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

CHUNK_BYTES = 1_920


@dataclass
class ScriptedServer:
    """One answer to all utterances.

    Attributes:
        pieces: What is heard, one piece for each step of 600 ms.
        better: The text after the end; None: no answer.
        closes: Whether it closes the connection at the end of speech instead.
        configs: The first message of each connection.
        audio: The audio of each connection.
        open: How many connections there are.
        left: Set when a connection has ended.
    """

    pieces: tuple[str, ...] = ()
    better: str | None = "欢迎大家。"
    closes: bool = False
    configs: list[dict[str, Any]] = field(default_factory=list)
    audio: list[bytes] = field(default_factory=list)
    open: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def handle(self, socket: ServerConnection) -> None:
        """Serves one connection."""
        self.open += 1
        try:
            await self._serve(socket)
        except ConnectionClosed:
            pass
        finally:
            self.open -= 1
            self.left.set()

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.subprotocol == "binary"
        config = json.loads(await socket.recv())
        number = len(self.configs)
        self.configs.append(config)
        self.audio.append(b"")
        pieces = list(self.pieces)
        chunks = 0
        async for message in socket:
            if isinstance(message, bytes):
                assert len(message) <= CHUNK_BYTES
                self.audio[number] += message
                chunks += 1
                if chunks % config["chunk_interval"] == 0 and pieces:
                    await self._say(socket, "2pass-online", pieces.pop(0))
            elif json.loads(message) == {"is_speaking": False}:
                if self.closes:
                    await socket.close(1011)
                elif self.better is not None:
                    await self._say(socket, "2pass-offline", self.better)

    async def _say(self, socket: ServerConnection, mode: str, text: str) -> None:
        # `is_final` of the server in Python is true while the person speaks.
        answer = {"mode": mode, "text": text, "wav_name": "anima", "is_final": False}
        await socket.send(json.dumps(answer, ensure_ascii=False))


@asynccontextmanager
async def scripted(
    script: ScriptedServer, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedServer]:
    """Runs a server on loopback; its address is in `url`."""
    async with serve(
        script.handle, "127.0.0.1", 0, subprotocols=[Subprotocol("binary")], ssl=tls
    ) as server:
        port = server.sockets[0].getsockname()[1]
        script.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}"
        yield script
