"""The most recent audio of a stream, addressed by sample index."""

import numpy as np
from numpy.typing import NDArray


class AudioHistory:
    """Keeps audio until it is discarded; indexes count from the start of the stream."""

    def __init__(self) -> None:
        self._pieces: list[NDArray[np.int16]] = []
        self._start = 0
        self._end = 0

    @property
    def end_sample(self) -> int:
        """The index after the last sample."""
        return self._end

    def append(self, samples: NDArray[np.int16]) -> None:
        """Adds mono samples."""
        self._pieces.append(samples)
        self._end += len(samples)

    def between(self, start_sample: int, end_sample: int) -> NDArray[np.int16]:
        """Returns the samples from `start_sample` up to, but not including, `end_sample`.

        Raises:
            IndexError: Part of the range was discarded or has not arrived yet.
        """
        if not self._start <= start_sample <= end_sample <= self._end:
            raise IndexError(
                f"samples {start_sample}..{end_sample} are not in {self._start}..{self._end}"
            )
        audio = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)
        self._pieces = [audio]
        return audio[start_sample - self._start : end_sample - self._start]

    def forget_before(self, sample: int) -> None:
        """Discards the pieces that lie wholly before `sample`."""
        while self._pieces and self._start + len(self._pieces[0]) <= sample:
            self._start += len(self._pieces.pop(0))
