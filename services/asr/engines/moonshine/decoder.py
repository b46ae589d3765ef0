"""The decoder of one stream; the model belongs to all."""

from __future__ import annotations

import collections
import math
import threading
import zlib
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from services.asr.engine import Hypothesis
from services.asr.engines.moonshine.decoded import Decoded
from services.asr.engines.moonshine.long_audio import pieces
from services.asr.engines.moonshine.plausible import is_plausible
from services.asr.engines.moonshine.repetition import without_repetition
from services.runtime.process.compute import Compute

if TYPE_CHECKING:
    from services.asr.engines.moonshine.model import MoonshineModel


class MoonshineDecoder:
    """A `services.asr.engine.SegmentDecoder`.

    Its results have a confidence but no word times: the model does not give away where it listens.

    Args:
        model: Shared by all decoders.
        compute: Runs the model; shared likewise.
        urgent: The complete segments that wait for a thread; shared likewise.
    """

    KEPT_PIECES: ClassVar[int] = 8

    def __init__(self, model: MoonshineModel, *, compute: Compute, urgent: set[Job]) -> None:
        self._model = model
        self._compute = compute
        self._urgent = urgent
        self._known: collections.OrderedDict[tuple[int, int], Decoded] = collections.OrderedDict()

    async def decode(self, samples: NDArray[np.int16], *, partial: bool) -> Hypothesis:
        """Decodes a segment; see `SegmentDecoder.decode`.

        A partial result is empty if a complete segment of any stream needs the thread.
        """
        job = Job(self._urgent, partial=partial)
        try:
            return await self._compute.run(self._recognise, samples, job)
        finally:
            job.cancel()

    def close(self) -> None:
        """Does nothing: the decoder owns nothing but memory."""

    def _recognise(self, samples: NDArray[np.int16], job: Job) -> Hypothesis:
        job.begin()
        *earlier, last = pieces(samples)
        parts: list[Decoded] = []
        for piece in earlier:
            key = (len(piece), zlib.crc32(piece.tobytes()))
            known = self._known.get(key) or self._heard(piece, job)
            if known is None:
                return Hypothesis()
            self._keep(key, known)
            parts.append(known)
        heard = self._heard(last, job)
        if heard is None:
            return Hypothesis()
        return _hypothesis([*parts, heard])

    def _heard(self, samples: NDArray[np.int16], job: Job) -> Decoded | None:
        scaled = (samples / 32768).astype(np.float32)
        decoded = self._model.decode(scaled, job.is_stopped)
        if decoded is None or is_plausible(decoded, samples):
            return decoded
        return Decoded(text="", log_probability=0.0, finished=True)

    def _keep(self, key: tuple[int, int], decoded: Decoded) -> None:
        self._known[key] = decoded
        if len(self._known) > self.KEPT_PIECES:
            self._known.popitem(last=False)


class Job:
    """One decoding, seen from the loop and from its thread.

    Args:
        urgent: The complete segments that wait for a thread: partial results give way to them.
        partial: Whether this is a partial result.
    """

    def __init__(self, urgent: set[Job], *, partial: bool) -> None:
        self._urgent = urgent
        self._partial = partial
        self._cancelled = threading.Event()
        if not partial:
            urgent.add(self)

    def begin(self) -> None:
        """Records that the decoding has a thread."""
        self._urgent.discard(self)

    def cancel(self) -> None:
        """Stops the decoding before its next id; it needs no thread any more."""
        self._cancelled.set()
        self._urgent.discard(self)

    def is_stopped(self) -> bool:
        """Returns whether nobody waits for the result, or others need the thread more."""
        return self._cancelled.is_set() or (self._partial and bool(self._urgent))


def _hypothesis(parts: list[Decoded]) -> Hypothesis:
    spoken = [part for part in parts if part.text]
    text = without_repetition(" ".join(part.text for part in spoken))
    if not text:
        return Hypothesis()
    mean = sum(part.log_probability for part in spoken) / len(spoken)
    return Hypothesis(text=text, confidence=math.exp(mean))
