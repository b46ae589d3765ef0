"""The pool of pocketsphinx processes: a decoder is used by one stream at a time."""

import asyncio
from pathlib import Path

from services.asr.processes.process import CLOSE_TIMEOUT_S, DecoderProcess
from services.runtime.errors import Busy
from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import Tasks

WORKER = Path(__file__).with_name("worker.py")


class DecoderPool:
    """Lends decoders; starts them on demand, up to `capacity`."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._idle: list[DecoderProcess] = []
        self._lent: set[DecoderProcess] = set()
        self._starting = 0
        self._retired = Tasks("pocketsphinx")

    async def warm_up(self, count: int) -> None:
        """Starts decoders until `count` are idle."""
        while len(self._idle) < count:
            self._idle.append(await self._start())

    async def borrow(self) -> DecoderProcess:
        """Lends a decoder, preferably one without unfinished work.

        Raises:
            Busy: All decoders are in use.
            Unavailable: A new decoder did not start.
        """
        self._retire_dead()
        if self._idle:
            decoder = min(self._idle, key=lambda idle: idle.pending)
            self._idle.remove(decoder)
        elif len(self._lent) + self._starting >= self._capacity:
            raise Busy(f"all {self._capacity} decoders are in use", retry_after_ms=1000)
        else:
            decoder = await self._start()
        self._lent.add(decoder)
        return decoder

    def give_back(self, decoder: DecoderProcess) -> None:
        """Returns a decoder to the pool."""
        self._lent.discard(decoder)
        self._idle.append(decoder)

    async def close(self) -> None:
        """Stops all processes."""
        decoders = [*self._idle, *self._lent]
        self._idle.clear()
        self._lent.clear()
        await asyncio.gather(*(decoder.close() for decoder in decoders))
        await self._retired.wait(timeout_s=CLOSE_TIMEOUT_S)

    async def _start(self) -> DecoderProcess:
        self._starting += 1
        try:
            return await DecoderProcess.start(WORKER)
        finally:
            self._starting -= 1

    def _retire_dead(self) -> None:
        for decoder in [idle for idle in self._idle if not idle.alive]:
            get_logger().warning("a decoder process has ended; the next stream gets a new one")
            self._idle.remove(decoder)
            self._retired.start(decoder.close(), name="end of a decoder")
