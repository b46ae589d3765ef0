"""A queue of audio samples."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MAX_PIECES: Final = 256
"""Above this count, pieces are joined: a caller may send one sample per message."""


class SampleQueue:
    """A queue of mono samples; the pieces put and the pieces taken may differ in length."""

    def __init__(self) -> None:
        self._pieces: deque[NDArray[np.int16]] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, samples: NDArray[np.int16]) -> None:
        """Appends samples."""
        if not len(samples):
            return
        self._pieces.append(samples)
        self._count += len(samples)
        if len(self._pieces) > _MAX_PIECES:
            self._pieces = deque([np.concatenate(self._pieces)])

    def take(self, count: int) -> NDArray[np.int16]:
        """Removes and returns the first samples.

        Args:
            count: The number of samples, at most the length of the queue.
        """
        self._count -= count
        parts = [np.zeros(0, np.int16)]
        while count:
            head = self._pieces.popleft()
            if len(head) > count:
                self._pieces.appendleft(head[count:])
                head = head[:count]
            parts.append(head)
            count -= len(head)
        return np.concatenate(parts)
