"""The decoder of one stream; the model belongs to all."""

from __future__ import annotations

import collections
import math
import threading
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from services.asr.engine import Hypothesis, Word
from services.asr.engines.moonshine.decoded import Decoded
from services.asr.engines.moonshine.long_audio import pieces
from services.asr.engines.moonshine.plausible import is_foreign, is_plausible
from services.asr.engines.moonshine.repetition import without_repetition
from services.asr.engines.moonshine.word_times import spans
from services.runtime.process.compute import Compute

if TYPE_CHECKING:
    from services.asr.engines.moonshine.hot_words import HotWords
    from services.asr.engines.moonshine.model import MoonshineModel


class MoonshineDecoder:
    """A `services.asr.engine.SegmentDecoder`.

    The times of words are approximate; partial results have none.

    Args:
        model: Shared by all decoders.
        compute: Runs the model; shared likewise.
        urgent: The complete segments that wait for a thread; shared likewise.
        phrases: Phrases that are likely to be said; partial results do without them.
    """

    KEPT_PIECES: ClassVar[int] = 8

    def __init__(
        self,
        model: MoonshineModel,
        *,
        compute: Compute,
        urgent: set[Job],
        phrases: tuple[str, ...] = (),
    ) -> None:
        self._model = model
        self._compute = compute
        self._urgent = urgent
        self._phrases = phrases
        self._hot_words: HotWords | None = None
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
        if self._phrases and not job.partial and self._hot_words is None:
            self._hot_words = self._model.hot_words(self._phrases)
        *earlier, last = pieces(samples)
        parts: list[tuple[Decoded, NDArray[np.int16]]] = []
        for piece in earlier:
            key = (len(piece), zlib.crc32(piece.tobytes()))
            known = self._known.get(key) or self._heard(piece, job)
            if known is None:
                return Hypothesis()
            self._keep(key, known)
            parts.append((known, piece))
        heard = self._heard(last, job)
        if heard is None:
            return Hypothesis()
        return _hypothesis([*parts, (heard, last)], timed=not job.partial)

    def _heard(self, samples: NDArray[np.int16], job: Job) -> Decoded | None:
        scaled = (samples / 32768).astype(np.float32)
        hot_words = None if job.partial else self._hot_words
        decoded = self._model.decode(scaled, job.is_stopped, hot_words)
        if decoded is None:
            return None
        return replace(
            decoded,
            words=decoded.words if is_plausible(decoded, samples) else (),
            foreign=is_foreign(decoded, samples),
        )

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
        self.partial = partial
        self._urgent = urgent
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
        return self._cancelled.is_set() or (self.partial and bool(self._urgent))


def _hypothesis(parts: Sequence[tuple[Decoded, NDArray[np.int16]]], *, timed: bool) -> Hypothesis:
    """Joins the results for consecutive pieces of audio."""
    words: list[Word] = []
    start = 0
    for decoded, samples in parts:
        texts = [word.text for word in decoded.words]
        for word, (first, end) in zip(decoded.words, spans(texts, samples), strict=True):
            words.append(
                Word(
                    text=word.text,
                    start_sample=start + first,
                    sample_count=end - first,
                    confidence=math.exp(word.log_probability),
                )
            )
        start += len(samples)
    kept = [words[index] for index in without_repetition([word.text for word in words])]
    foreign = all(decoded.foreign for decoded, _ in parts)
    if not kept:
        return Hypothesis(foreign=foreign)
    spoken = [decoded.log_probability for decoded, _ in parts if decoded.words]
    return Hypothesis(
        text=" ".join(word.text for word in kept),
        words=tuple(kept) if timed else (),
        confidence=math.exp(sum(spoken) / len(spoken)),
        foreign=foreign,
    )
