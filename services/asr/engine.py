"""The interface that every recogniser fulfils.

A recogniser decodes segments: the speech between two pauses. Voice activity, the ends of utterances
and the guesses of them belong to the service (services/asr/session.py).

An engine is named by an entry point in `anima.asr.engines` and made by calling that with the
`AsrSettings`.
"""

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from services.runtime.engine import Engine

DECODER_RATE_HZ: Final = 16_000
"""The rate of all audio that decoders get."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """A recognised word.

    Attributes:
        text: The word.
        start_sample: Its first sample.
        sample_count: Its length.
        confidence: How sure the recogniser is, 0 to 1; None if it cannot tell.
    """

    text: str
    start_sample: int
    sample_count: int
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """The result of decoding a segment.

    Attributes:
        text: The text; empty if nothing was understood.
        words: The words of it in order, with samples at 16 kHz from the start of the segment;
            empty if the recogniser does not know when they were spoken.
        confidence: How sure the recogniser is of the text, 0 to 1; None if it cannot tell, or if
            the words say it.
    """

    text: str = ""
    words: tuple[Word, ...] = ()
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The part of a stream's configuration that concerns its decoder.

    Attributes:
        language: BCP-47, one that the engine said it knows.
        phrase_hints: Words that are likely; a decoder may ignore them.
    """

    language: str
    phrase_hints: tuple[str, ...] = ()


class SegmentDecoder(Protocol):
    """Decodes the segments of one stream.

    Its methods are called on the event loop and do not block it, so an engine may decode segments
    of several streams together.
    """

    async def decode(self, samples: NDArray[np.int16], *, partial: bool) -> Hypothesis:
        """Decodes a segment as a whole.

        The call may be cancelled when its result is no longer wanted; the next call may then come
        at once.

        Args:
            samples: Mono audio at 16 kHz, shape (samples,). That of a whole segment ends with at
                least 200 ms of silence.
            partial: Whether the person still speaks: the result is shown as preliminary and
                replaced soon, so it may be worse and should be quick.

        Raises:
            AnimaError: The decoder does not work any more; the stream ends with it.
        """
        ...

    def close(self) -> None:
        """Releases what the decoder holds; called once, also after a failure."""
        ...


@runtime_checkable
class StreamingDecoder(SegmentDecoder, Protocol):
    """A decoder that can also follow a segment while it is spoken.

    Its partial results come from `feed` instead of `decode`. A whole segment is then decoded again
    by `decode`, if the setting `final_pass` allows it.
    """

    async def feed(self, samples: NDArray[np.int16]) -> Hypothesis:
        """Decodes the audio that follows in the open segment, and opens one if there is none.

        Returns:
            The result for the segment so far.
        """
        ...

    async def end(self) -> Hypothesis:
        """Ends the open segment; takes some tenths of a second at most.

        Returns:
            The result for the whole segment.
        """
        ...

    def abandon(self) -> None:
        """Drops the open segment, if there is one."""
        ...


class AsrEngine(Engine, Protocol):
    """A recogniser; its `EngineInfo.languages` names at least one language."""

    async def open_decoder(self, config: DecoderConfig) -> SegmentDecoder:
        """Opens the decoder of one stream.

        Raises:
            Busy: All decoders are in use.
        """
        ...
