"""Audio on streams: checked coming in, resampled without seams, cut into messages going out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import soxr
from numpy.typing import NDArray

from anima.common.v1 import AudioChunk
from services.runtime.errors import InvalidRequest

MAX_CHUNK_BYTES = 65_536
FIRST_CHUNKS_MS = (20, 100, 200, 200, 200, 200)
CHUNK_MS = 400


class AudioReceiver:
    """Checks the audio of one stream: one rate, whole samples, no gap, nothing of an old epoch.

    Attributes:
        epoch: The newest epoch seen; chunks below it are old.
        next_sample: The `start_sample` that the next chunk must have.
    """

    def __init__(
        self, *, sample_rate_hz: int, epoch: int = 0, turn_id: str = "", field: str = "audio"
    ) -> None:
        self.epoch = epoch
        self.next_sample = 0
        self._sample_rate_hz = sample_rate_hz
        self._turn_id = turn_id
        self._field = field

    def accept(self, chunk: AudioChunk) -> NDArray[np.int16] | None:
        """Take the next chunk.

        Args:
            chunk: The chunk as received.

        Returns:
            Its samples, mono; None if it is of an old epoch. The clock runs on over an old chunk,
            so that audio which was under way during an interruption leaves no gap.

        Raises:
            InvalidRequest: Wrong rate, half a sample, more than 64 KiB, a gap, or another turn's
                chunk.
        """
        self._check(chunk)
        old = chunk.header.epoch < self.epoch
        self.epoch = max(self.epoch, chunk.header.epoch)
        self.next_sample += len(chunk.pcm) // 2
        if old:
            return None
        return np.frombuffer(chunk.pcm, dtype="<i2").astype(np.int16, copy=False)

    def raise_epoch(self, epoch: int) -> None:
        """Count everything below `epoch` as old from now on."""
        self.epoch = max(self.epoch, epoch)

    def _check(self, chunk: AudioChunk) -> None:
        if chunk.header.turn_id and self._turn_id and chunk.header.turn_id != self._turn_id:
            raise InvalidRequest(
                f"{self._field}.header.turn_id: {chunk.header.turn_id[:64]!r} is not the stream's "
                f"turn {self._turn_id!r}"
            )
        if chunk.sample_rate_hz != self._sample_rate_hz:
            raise InvalidRequest(
                f"{self._field}.sample_rate_hz: {chunk.sample_rate_hz} is not the config's "
                f"{self._sample_rate_hz}"
            )
        if len(chunk.pcm) > MAX_CHUNK_BYTES:
            raise InvalidRequest(
                f"{self._field}.pcm: {len(chunk.pcm)} bytes are more than {MAX_CHUNK_BYTES}"
            )
        if len(chunk.pcm) % 2:
            raise InvalidRequest(
                f"{self._field}.pcm: {len(chunk.pcm)} bytes are not whole 16-bit samples"
            )
        if chunk.start_sample != self.next_sample:
            raise InvalidRequest(
                f"{self._field}.start_sample: {chunk.start_sample} is not {self.next_sample}, "
                "where the audio before it ended"
            )


class StreamResampler:
    """Resamples a stream of mono audio without seams between its pieces (libsoxr, high quality)."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._stream = (
            None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, dtype="int16")
        )

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take a piece at the old rate; return what is ready at the new one.

        The filter looks ahead, so what comes back is a little behind what was given.
        """
        return self._resample(samples, last=False)

    def finish(self) -> NDArray[np.int16]:
        """Return the rest. The resampler must not be used after it."""
        return self._resample(np.zeros(0, dtype=np.int16), last=True)

    def _resample(self, samples: NDArray[np.int16], *, last: bool) -> NDArray[np.int16]:
        if self._stream is None:
            return samples
        resampled: NDArray[np.int16] = self._stream.resample_chunk(samples, last=last)
        return resampled


def chunk_sizes(sample_rate_hz: int) -> Iterator[int]:
    """Yield the sizes of outgoing messages in samples, without end: 20, 100, 200, later 400 ms.

    A message costs whoever reads it as much as 5 s of samples do, so only the first ones are small:
    they are what the person waits for. The long ones come after a second, when a voice that is only
    somewhat faster than real time has enough of a lead to fill one.
    """
    for first_ms in FIRST_CHUNKS_MS:
        yield sample_rate_hz * first_ms // 1000
    while True:
        yield sample_rate_hz * CHUNK_MS // 1000
