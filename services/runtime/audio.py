"""Audio on streams: validation of input, gapless resampling, message sizes of output."""

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
    """Validates the audio of one stream: one rate, whole samples, no gaps, no old epochs.

    Attributes:
        epoch: The newest epoch seen; chunks below it are stale.
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
        """Accepts the next chunk.

        Args:
            chunk: The chunk as received.

        Returns:
            Its samples, mono; None if it is of an old epoch. The clock advances over stale chunks,
            so that audio in transit during an interruption leaves no gap.

        Raises:
            InvalidRequest: Wrong rate, half a sample, more than 64 KiB, a gap, or a chunk of
                another turn.
        """
        self._check(chunk)
        old = chunk.header.epoch < self.epoch
        self.epoch = max(self.epoch, chunk.header.epoch)
        self.next_sample += len(chunk.pcm) // 2
        if old:
            return None
        return np.frombuffer(chunk.pcm, dtype="<i2").astype(np.int16, copy=False)

    def raise_epoch(self, epoch: int) -> None:
        """Treats everything below `epoch` as stale from now on."""
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
                f"{self._field}.pcm: must be at most {MAX_CHUNK_BYTES} bytes, got {len(chunk.pcm)}"
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
    """Resamples a stream of mono audio without gaps between pieces (libsoxr, high quality)."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._stream = (
            None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, dtype="int16")
        )

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Takes a piece at the old rate; returns the samples that are ready at the new rate.

        The filter looks ahead, so the output is slightly behind the input.
        """
        return self._resample(samples, last=False)

    def finish(self) -> NDArray[np.int16]:
        """Returns the rest. The resampler must not be used afterwards."""
        return self._resample(np.zeros(0, dtype=np.int16), last=True)

    def _resample(self, samples: NDArray[np.int16], *, last: bool) -> NDArray[np.int16]:
        if self._stream is None:
            return samples
        resampled: NDArray[np.int16] = self._stream.resample_chunk(samples, last=last)
        return resampled


def chunk_sizes(sample_rate_hz: int) -> Iterator[int]:
    """Yields the sizes of outgoing messages in samples, endlessly: 20, 100, 200, later 400 ms.

    Reading a message costs as much as reading 5 s of samples, so only the first ones are small:
    the user waits for them. The long ones start after a second, when a voice that is only
    slightly faster than real time has enough of a lead to fill one.
    """
    for first_ms in FIRST_CHUNKS_MS:
        yield sample_rate_hz * first_ms // 1000
    while True:
        yield sample_rate_hz * CHUNK_MS // 1000
