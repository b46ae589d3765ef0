"""A decoder process, seen from the service."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from services.asr.processes.serving import ANSWER_HEADER, REQUEST_HEADER
from services.runtime.errors import Unavailable
from services.runtime.process.tasks import Tasks

START_TIMEOUT_S: Final = 60.0
CLOSE_TIMEOUT_S: Final = 5.0
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024


class DecoderProcess:
    """A running process. Requests are answered in order."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: collections.deque[asyncio.Future[dict[str, Any]]] = collections.deque()
        self._reader = Tasks("decoder").start(self._read_answers(), name="decoder answers")

    @classmethod
    async def start(cls, worker: Path, *arguments: str) -> DecoderProcess:
        """Starts a process and waits until its model is loaded.

        Args:
            worker: The script, which calls `services.asr.processes.serving.serve`.
            *arguments: Its arguments.

        Raises:
            Unavailable: The process did not start.
        """
        # -P keeps the script's folder off sys.path: its modules must not be imported from there.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(worker), *arguments),
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
            raise Unavailable(f"the decoder did not load within {START_TIMEOUT_S:.0f} s") from None
        except BaseException:
            await decoder.close()
            raise
        return decoder

    @property
    def alive(self) -> bool:
        """Whether the process can still answer requests."""
        return self._process.returncode is None and not self._reader.done()

    @property
    def pending(self) -> int:
        """The number of unanswered requests."""
        return len(self._waiting)

    def request(self, operation: bytes, payload: bytes = b"") -> asyncio.Future[dict[str, Any]]:
        """Sends a request.

        Returns:
            The future answer; it raises `Unavailable` if the process dies. It may be cancelled or
            dropped: the process still does the work, and its answer is discarded.
        """
        future = self._expect()
        stdin = self._process.stdin
        if stdin is None or not self.alive:
            self._fail()
        else:
            stdin.write(REQUEST_HEADER.pack(operation, len(payload)) + payload)
        return future

    async def close(self) -> None:
        """Closes the input of the process, and kills it if it does not exit in time."""
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
                    raise ValueError(
                        f"an answer must be at most {MAX_ANSWER_BYTES} bytes, got {length}"
                    )
                self._resolve(json.loads(await stdout.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._fail()

    def _resolve(self, answer: object) -> None:
        if not isinstance(answer, dict):
            raise ValueError(f"an answer must be a JSON object, got {type(answer).__name__}")
        future = self._waiting.popleft()
        if future.done():
            return
        if "error" in answer:
            future.set_exception(Unavailable(f"the decoder rejected the audio: {answer['error']}"))
        else:
            future.set_result(answer)

    def _fail(self) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(Unavailable("the decoder process has ended; try again"))


def _retrieve(future: asyncio.Future[dict[str, Any]]) -> None:
    """Retrieves the error of a dropped answer; otherwise asyncio logs it as never retrieved."""
    if not future.cancelled():
        future.exception()
