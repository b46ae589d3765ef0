"""Floods of a gateway by a client without a token, in a process of its own.

    python -m bench.strangers.flooding 127.0.0.1:8080 --idle 2000 --half_heads 200

`idle` connections send nothing, `half_heads` a second begin a request, `silent` WebSockets never
name a token, `probes` clients ask for /readyz without a pause. What the server closes is opened
again. The line "flooding" is printed once the idle connections have been opened.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
from collections.abc import Callable, Coroutine
from typing import Any, Final

AGAIN_S: Final = 0.2
_HALF_A_HEAD: Final = b"POST /v1/ask HTTP/1.1\r\nHost: localhost\r\nX-A: "
_HANDSHAKE: Final = (
    b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_PROBE: Final = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
_AT_A_TIME: Final = 100


class Flood:
    """The connections of the floods.

    Args:
        address: The HTTP address of the gateway, "host:port".
    """

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._opened = 0
        self._connecting = asyncio.Semaphore(_AT_A_TIME)
        self.opened = asyncio.Event()

    async def run(self, *, idle: int, half_heads: int, silent: int, probes: int) -> None:
        """Floods until it is cancelled.

        Args:
            idle: Connections that send nothing.
            half_heads: Beginnings of requests, each second.
            silent: WebSockets that never name a token.
            probes: Clients that ask for /readyz without a pause.
        """
        async with asyncio.TaskGroup() as tasks:
            for _ in range(idle):
                tasks.create_task(self._again(b"", most=idle))
            if not idle:
                self.opened.set()
            for _ in range(silent):
                tasks.create_task(self._again(_HANDSHAKE))
            for _ in range(probes):
                tasks.create_task(self._repeat(self._probe))
            if half_heads:
                tasks.create_task(self._begin_requests(half_heads, tasks))

    async def _again(self, first: bytes, *, most: int = 0) -> None:
        """Opens a connection, and opens it again whenever it is closed."""
        counted = not most

        async def once() -> None:
            nonlocal counted
            async with self._connecting:
                reader, writer = await asyncio.open_connection(self._host, self._port)
            if not counted:
                counted = True
                self._opened += 1
                if self._opened >= most:
                    self.opened.set()
            await self._hold(reader, writer, first)

        await self._repeat(once)

    async def _repeat(self, once: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            with contextlib.suppress(OSError):
                await once()
            await asyncio.sleep(AGAIN_S)

    async def _hold(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes
    ) -> None:
        """Sends a beginning and reads until the server closes the connection."""
        try:
            writer.write(first)
            while await reader.read(4096):
                pass
        finally:
            writer.close()

    async def _probe(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            while True:
                writer.write(_PROBE)
                if not await reader.read(4096):
                    return
        finally:
            writer.close()

    async def _begin_requests(self, per_second: int, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        start_s, begun = loop.time(), 0
        while True:
            while begun < per_second * (loop.time() - start_s):
                begun += 1
                tasks.create_task(self._begin())
            await asyncio.sleep(0.01)

    async def _begin(self) -> None:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(self._host, self._port)
            await self._hold(reader, writer, _HALF_A_HEAD)


def raise_descriptor_limit() -> None:
    """Raises the soft limit of descriptors to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _flood(address: str, counts: dict[str, int]) -> None:
    flood = Flood(address)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(flood.run(**counts))
        await flood.opened.wait()
        print("flooding", flush=True)


def main() -> None:
    """Runs from the command line until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="the HTTP address of the gateway")
    for name in ("idle", "half_heads", "silent", "probes"):
        parser.add_argument(f"--{name}", type=int, default=0)
    options = vars(parser.parse_args())
    raise_descriptor_limit()
    asyncio.run(_flood(options.pop("address"), options))


if __name__ == "__main__":
    main()
