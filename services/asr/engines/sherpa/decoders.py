"""The decoders of one stream."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.asr.engine import Hypothesis
from services.asr.engines.sherpa.words import words_of
from services.asr.processes.operations import DECODE, DROP, END, FEED
from services.asr.processes.process import DecoderProcess

_TAG: Final = re.compile(r"<\|([a-z]{2,3})\|>")


class WholeDecoder:
    """A `services.asr.engine.SegmentDecoder` for models that decode complete segments.

    Args:
        process: Shared by all streams.
        languages: BCP-47 tags of the languages that the model understands.
        on_close: Called when the decoder is closed.
    """

    def __init__(
        self, process: DecoderProcess, *, languages: tuple[str, ...], on_close: Callable[[], None]
    ) -> None:
        self._process = process
        self._languages = languages
        self._on_close = on_close

    async def decode(self, samples: NDArray[np.int16], *, partial: bool) -> Hypothesis:
        """Decodes a whole segment; see `SegmentDecoder.decode`."""
        answer = await self._process.request(DECODE, bytes(4) + samples.astype("<i2").tobytes())
        return hypothesis_of(answer, len(samples), self._languages, timed=not partial)

    def close(self) -> None:
        """Returns its place."""
        self._on_close()


class LiveDecoder:
    """A `services.asr.engine.StreamingDecoder`.

    Args:
        process: Shared by all streams.
        number: The number of the stream in the process.
        languages: BCP-47 tags of the languages that the model understands.
        on_close: Called when the decoder is closed.
    """

    def __init__(
        self,
        process: DecoderProcess,
        *,
        number: int,
        languages: tuple[str, ...],
        on_close: Callable[[], None],
    ) -> None:
        self._process = process
        self._number = number.to_bytes(4, "little")
        self._languages = languages
        self._on_close = on_close
        self._fed_samples = 0
        self._last: tuple[int, Hypothesis] | None = None

    async def feed(self, samples: NDArray[np.int16]) -> Hypothesis:
        """Decodes the next audio; see `StreamingDecoder.feed`."""
        self._fed_samples += len(samples)
        answer = await self._process.request(FEED, self._number + samples.astype("<i2").tobytes())
        return hypothesis_of(answer, self._fed_samples, self._languages, timed=False)

    async def end(self) -> Hypothesis:
        """Ends the open segment; see `StreamingDecoder.end`."""
        fed, self._fed_samples = self._fed_samples, 0
        answer = await self._process.request(END, self._number)
        found = hypothesis_of(answer, fed, self._languages, timed=True)
        self._last = (fed, found)
        return found

    async def decode(self, samples: NDArray[np.int16], *, partial: bool) -> Hypothesis:
        """Returns the result of the segment that has just ended: a second pass gives the same."""
        del partial
        if self._last is not None and self._last[0] == len(samples):
            return self._last[1]
        await self.feed(samples)
        return await self.end()

    def abandon(self) -> None:
        """Discards the open segment; see `StreamingDecoder.abandon`."""
        if self._fed_samples:
            self._fed_samples = 0
            self._process.request(DROP, self._number)

    def close(self) -> None:
        """Discards the open segment and returns its place."""
        self.abandon()
        self._on_close()


def hypothesis_of(
    answer: dict[str, Any], samples: int, languages: tuple[str, ...], *, timed: bool
) -> Hypothesis:
    """Converts an answer of the process.

    Args:
        answer: `text`, `tokens`, `starts_s` and perhaps `language`, a tag such as `<|zh|>`.
        samples: The length of the audio at 16 kHz.
        languages: The languages of the model.
        timed: Whether words with times are wanted.
    """
    tag = _TAG.fullmatch(answer.get("language", ""))
    return Hypothesis(
        text=answer["text"].strip(),
        words=words_of(answer["tokens"], answer["starts_s"], samples) if timed else (),
        language=tag[1] if tag and tag[1] in languages else "",
    )
