"""Decoder processes and the pool that lends them: one decoder belongs to one stream at a time."""

import asyncio
import collections
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from services.asr.engines.pocketsphinx.worker import ANSWER_HEADER, REQUEST_HEADER
from services.runtime.errors import Busy, Unavailable
from services.runtime.logs import get_logger
from services.runtime.tasks import Tasks

WORKER = Path(__file__).with_name("worker.py")
START_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 16 * 1024 * 1024


class DecoderProcess:
    """A running `worker.py`. Requests are answered in the order they are made."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: collections.deque[asyncio.Future[dict[str, Any]]] = collections.deque()
        self._reader = Tasks("pocketsphinx").start(self._read_answers(), name="decoder answers")

    @classmethod
    async def start(cls) -> "DecoderProcess":
        """Starts a process and waits until its model is loaded.

        Raises:
            Unavailable: It did not start.
        """
        # -P keeps the folder of the script off the path: its modules are not for import from there.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(WORKER)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        decoder = cls(process)
        loaded = decoder._expect()
        try:
            await asyncio.wait_for(loaded, START_TIMEOUT_S)
        except TimeoutError:
            await decoder.close()
            raise Unavailable(f"the decoder was not loaded in {START_TIMEOUT_S:.0f} s") from None
        except BaseException:
            await decoder.close()
            raise
        return decoder

    @property
    def alive(self) -> bool:
        """Whether it can still answer."""
        return self._process.returncode is None and not self._reader.done()

    @property
    def pending(self) -> int:
        """How many requests are not answered yet."""
        return len(self._waiting)

    def request(self, operation: bytes, payload: bytes = b"") -> asyncio.Future[dict[str, Any]]:
        """Sends a request.

        Returns:
            The answer to come; it raises `Unavailable` when the process dies. It may be cancelled
            or forgotten: the work is done all the same and its answer is thrown away.
        """
        future = self._expect()
        stdin = self._process.stdin
        if stdin is None or not self.alive:
            self._fail()
        else:
            stdin.write(REQUEST_HEADER.pack(operation, len(payload)) + payload)
        return future

    async def close(self) -> None:
        """Ends the process: by the end of its input, or at last by force."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), CLOSE_TIMEOUT_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await asyncio.wait({self._reader})

    def _expect(self) -> asyncio.Future[dict[str, Any]]:
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve)
        self._waiting.append(future)
        return future

    async def _read_answers(self) -> None:
        stdout = self._process.stdout
        try:
            while stdout is not None:
                header = await stdout.readexactly(ANSWER_HEADER.size)
                (length,) = ANSWER_HEADER.unpack(header)
                if length > MAX_ANSWER_BYTES:
                    raise ValueError(f"an answer of {length} bytes is announced")
                self._resolve(json.loads(await stdout.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._fail()

    def _resolve(self, answer: object) -> None:
        if not isinstance(answer, dict):
            raise ValueError(f"an answer is a {type(answer).__name__}, not an object")
        future = self._waiting.popleft()
        if future.done():
            return
        if "error" in answer:
            future.set_exception(Unavailable(f"the decoder refused the audio: {answer['error']}"))
        else:
            future.set_result(answer)

    def _fail(self) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(Unavailable("the decoder process has ended; try again"))


class DecoderPool:
    """Lends decoders; starts them when they are first needed, up to `capacity`."""

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
        """Lends a decoder, one without leftover work if there is one.

        Raises:
            Busy: All are lent.
            Unavailable: A new one did not start.
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
        """Takes a decoder back."""
        self._lent.discard(decoder)
        self._idle.append(decoder)

    async def close(self) -> None:
        """Ends all processes."""
        decoders = [*self._idle, *self._lent]
        self._idle.clear()
        self._lent.clear()
        await asyncio.gather(*(decoder.close() for decoder in decoders))
        await self._retired.wait(timeout_s=CLOSE_TIMEOUT_S)

    async def _start(self) -> DecoderProcess:
        self._starting += 1
        try:
            return await DecoderProcess.start()
        finally:
            self._starting -= 1

    def _retire_dead(self) -> None:
        for decoder in [idle for idle in self._idle if not idle.alive]:
            get_logger().warning("a decoder process has ended; the next stream gets a new one")
            self._idle.remove(decoder)
            self._retired.start(decoder.close(), name="end of a decoder")


def _retrieve(future: asyncio.Future[dict[str, Any]]) -> None:
    """Marks the error of a forgotten answer as seen, or asyncio reports it as never retrieved."""
    if not future.cancelled():
        future.exception()
