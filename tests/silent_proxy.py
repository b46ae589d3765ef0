"""A TCP proxy that can fall silent: connections stay open but pass nothing on any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class SilentProxy:
    """Forwards connections to a server.

    Attributes:
        address: The address on which it listens.
    """

    def __init__(self, target: str) -> None:
        self.address = ""
        self._host, _, self._port = target.rpartition(":")
        self._cut = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def fall_silent(self) -> None:
        """Silences the current connections for good; later ones work."""
        self._cut.set()
        self._cut = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connects a client through."""
        to_server = await asyncio.open_connection(self._host, int(self._port))
        cut = self._cut
        for source, sink in ((reader, to_server[1]), (to_server[0], writer)):
            task = asyncio.create_task(self._forward(source, sink, cut))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, cut: asyncio.Event
    ) -> None:
        cutting = asyncio.create_task(cut.wait())
        try:
            with suppress(ConnectionError):
                while not cut.is_set():
                    reading = asyncio.create_task(source.read(1 << 16))
                    await asyncio.wait({reading, cutting}, return_when=asyncio.FIRST_COMPLETED)
                    if cut.is_set():
                        reading.cancel()
                        # Neither an end nor data: the sockets stay open.
                        await asyncio.Event().wait()
                    if not reading.result():
                        break
                    sink.write(reading.result())
                    await sink.drain()
        finally:
            cutting.cancel()
            sink.close()

    async def close(self) -> None:
        """Ends all connections."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def silent_proxy(target: str) -> AsyncIterator[SilentProxy]:
    """Runs a proxy in front of "host:port" for the body."""
    proxy = SilentProxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
