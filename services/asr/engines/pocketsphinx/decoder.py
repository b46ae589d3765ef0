"""The decoder of one stream, backed by a pocketsphinx process."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.asr.engine import Hypothesis, Word
from services.asr.processes.operations import BEGIN, BEGIN_SAME_SPEAKER, DECODE, END, FEED
from services.asr.processes.process import DecoderProcess

_FRAME_SAMPLES = 160
_FILLER = re.compile(r"[<\[+].*")
_VARIANT = re.compile(r"\(\d+\)$")


class PocketsphinxDecoder:
    """A `services.asr.engine.StreamingDecoder`.

    Args:
        process: Must not be used by anything else at the same time.
        on_close: Called when the decoder is closed.
    """

    def __init__(self, process: DecoderProcess, *, on_close: Callable[[], None]) -> None:
        self._process = process
        self._on_close = on_close
        self._live = False
        self._heard_before = False

    async def feed(self, samples: NDArray[np.int16]) -> Hypothesis:
        """Decodes the next audio; see `StreamingDecoder.feed`."""
        if not self._live:
            self._process.request(BEGIN_SAME_SPEAKER if self._heard_before else BEGIN)
            self._live = self._heard_before = True
        return _hypothesis(await self._process.request(FEED, samples.tobytes()), sure=False)

    async def end(self) -> Hypothesis:
        """Ends the open segment; see `StreamingDecoder.end`."""
        if not self._live:
            return Hypothesis()
        self._live = False
        return _hypothesis(await self._process.request(END), sure=True)

    async def decode(self, samples: NDArray[np.int16], *, partial: bool) -> Hypothesis:
        """Decodes a complete segment; see `SegmentDecoder.decode`."""
        del partial
        return _hypothesis(await self._process.request(DECODE, samples.tobytes()), sure=True)

    def abandon(self) -> None:
        """Discards the open segment; see `StreamingDecoder.abandon`."""
        if self._live:
            self._live = False
            self._process.request(END)

    def close(self) -> None:
        """Leaves the process ready for the next stream."""
        self.abandon()
        self._on_close()


def _hypothesis(answer: dict[str, Any], *, sure: bool) -> Hypothesis:
    """Parses an answer; the decoder has no confidences while the segment is still open."""
    words = tuple(
        Word(
            text=_VARIANT.sub("", text),
            start_sample=first * _FRAME_SAMPLES,
            sample_count=(last + 1 - first) * _FRAME_SAMPLES,
            confidence=min(max(probability, 0.0), 1.0) if sure else None,
        )
        for text, first, last, probability in answer["words"]
        if not _FILLER.fullmatch(text)
    )
    return Hypothesis(text=" ".join(word.text for word in words), words=words)
