"""The decoder of one stream."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from services.asr.engine import Hypothesis
from services.asr.engines.funasr.utterance import Utterance
from services.runtime.process.tasks import Tasks


class FunasrDecoder:
    """A `services.asr.engine.StreamingDecoder`; the server decodes complete segments again itself.

    Args:
        make: Returns an utterance that is not connected yet.
        tasks: Owns the work that continues after a call.
        on_close: Called when the decoder is closed.
    """

    def __init__(
        self, make: Callable[[], Utterance], *, tasks: Tasks, on_close: Callable[[], None]
    ) -> None:
        self._make = make
        self._tasks = tasks
        self._on_close = on_close
        self._utterance: Utterance | None = None
        self._last: tuple[int, Hypothesis] | None = None

    async def feed(self, samples: NDArray[np.int16]) -> Hypothesis:
        """Sends the next audio; see `StreamingDecoder.feed`."""
        if self._utterance is None:
            self._utterance = self._make()
        utterance = self._utterance
        await utterance.send(samples.astype("<i2").tobytes())
        return utterance.heard

    async def end(self) -> Hypothesis:
        """Waits for the server's better text; see `StreamingDecoder.end`."""
        utterance, self._utterance = self._utterance, None
        if utterance is None:
            return Hypothesis()
        try:
            found = await utterance.finish()
        finally:
            self._tasks.start(utterance.close(), name="funasr close")
        self._last = (utterance.sent_samples, found)
        return found

    async def decode(self, samples: NDArray[np.int16], *, partial: bool) -> Hypothesis:
        """Returns the text of the segment that has just ended, or sends another one."""
        if self._last is not None and self._last[0] == len(samples):
            return self._last[1]
        utterance = self._make()
        try:
            await utterance.send(samples.astype("<i2").tobytes())
            return await utterance.finish()
        finally:
            self._tasks.start(utterance.close(), name="funasr close")

    def abandon(self) -> None:
        """Closes the connection of the open segment."""
        utterance, self._utterance = self._utterance, None
        if utterance is not None:
            self._tasks.start(utterance.close(), name="funasr close")

    def close(self) -> None:
        """Closes the connection and returns its place."""
        self.abandon()
        self._on_close()
