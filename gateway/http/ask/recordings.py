"""Recorded questions of strangers, decoded in worker processes."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.http.ask.decoding import QUESTION_RATE_HZ, TOO_LONG
from services.runtime.observing.logs import get_logger
from services.runtime.sandbox.jobs import Limits, RefusedError
from services.runtime.sandbox.sandbox import Answer, Sandbox, WorkerError

MAX_AUDIO_BYTES: Final = 20 * 1024 * 1024
MAX_AUDIO_S: Final = 60.0
_SAMPLE_BYTES: Final = 2
# The resampler and the mixer need some 20 times the samples of a recording with 8 channels.
_LIMITS: Final = Limits(
    memory_bytes=512 << 20,
    cpu_s=20,
    wall_s=60.0,
    max_answer_bytes=_SAMPLE_BYTES * (QUESTION_RATE_HZ * int(MAX_AUDIO_S) + QUESTION_RATE_HZ),
)
_IDLE_S: Final = 600.0


class NotAudio(Exception):  # noqa: N818 (named by what it says)
    """A file contains no audio that can be decoded; the text gives the reason."""


class TooLong(Exception):  # noqa: N818
    """A recording is longer than allowed; the text names the limit."""


class Recordings:
    """Decodes recorded questions, two at a time.

    A worker is forked from a process that has FFmpeg loaded. That process starts with the first
    recording and stays for ten minutes after the last one.
    """

    def __init__(self, job: str = "gateway.http.ask.decoding") -> None:
        self._sandbox = Sandbox(job, limits=_LIMITS, idle_s=_IDLE_S)

    def expect(self) -> None:
        """Starts what decodes a recording while the recording is still being received."""
        self._sandbox.start()

    async def read(self, data: bytes) -> NDArray[np.int16]:
        """Like `read_now`, without blocking the event loop.

        Raises:
            Busy: Too many recordings are waiting.
        """
        try:
            return _samples(await self._sandbox.call({"max_s": MAX_AUDIO_S}, data))
        except (RefusedError, WorkerError) as error:
            raise _refusal(error) from None

    def read_now(self, data: bytes) -> NDArray[np.int16]:
        """Decodes a recorded question of any common format.

        Args:
            data: The file.

        Returns:
            Mono samples at 16,000 Hz.

        Raises:
            NotAudio: The file contains nothing that can be decoded as audio.
            TooLong: The recording is longer than `MAX_AUDIO_S`.
            Unavailable: No worker can be started.
        """
        try:
            return _samples(self._sandbox.run({"max_s": MAX_AUDIO_S}, data))
        except (RefusedError, WorkerError) as error:
            raise _refusal(error) from None

    def close(self) -> None:
        """Ends the workers."""
        self._sandbox.close()


def _samples(answer: Answer) -> NDArray[np.int16]:
    count = answer.header.get("samples")
    if not isinstance(count, int) or not 0 < count * _SAMPLE_BYTES == len(answer.content):
        raise WorkerError("crashed", "its answer has another length than it says")
    return np.frombuffer(answer.content, "<i2").astype(np.int16, copy=False)


def _refusal(error: RefusedError | WorkerError) -> NotAudio | TooLong:
    if isinstance(error, RefusedError):
        return TooLong(error.text) if error.reason == TOO_LONG else NotAudio(error.text)
    get_logger().warning("a recording broke its decoder", fault=str(error))
    if error.kind == "crashed":
        return NotAudio("the file cannot be decoded as audio: it seems to be damaged")
    return NotAudio(f"the file cannot be decoded as audio: its decoder ran {error.kind}")
