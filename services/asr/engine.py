"""The interface that every recogniser implements.

A recogniser decodes segments: the speech between two pauses. Voice activity detection, the ends of
utterances and the guesses of those ends belong to the service (services/asr/session.py).

An engine is registered as an entry point in `anima.asr.engines`; the service creates it by calling
that entry point with the `AsrSettings`.
"""

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from services.runtime.engine import Engine

DECODER_RATE_HZ: Final = 16_000
"""The sample rate of all audio passed to decoders."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """A recognised word.

    Attributes:
        text: The word.
        start_sample: Its first sample.
        sample_count: Its length.
        confidence: The recogniser's confidence, 0 to 1; None if it is unknown.
    """

    text: str
    start_sample: int
    sample_count: int
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """The result for a segment.

    Attributes:
        text: The text; empty if nothing was understood.
        words: Its words in order, with samples at 16 kHz from the start of the segment; empty if
            the recogniser has no word times.
        confidence: The recogniser's confidence in the text, 0 to 1; None if it is unknown or if the
            words carry it.
        language: BCP-47 language that was recognised; empty: that of the stream.
        foreign: True if this was probably speech in a language that the recogniser does not
            understand; the text is then what it sounds like.
    """

    text: str = ""
    words: tuple[Word, ...] = ()
    confidence: float | None = None
    language: str = ""
    foreign: bool = False


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The configuration of a decoder for one stream.

    Attributes:
        language: BCP-47, one of the languages that the engine lists.
        candidates: Languages among which the decoder detects the one that is spoken, of those that
            the engine lists, the likeliest first; empty: there is nothing to detect. A decoder that
            cannot detect languages ignores them.
        phrase_hints: Likely words; a decoder may ignore them.
    """

    language: str
    candidates: tuple[str, ...] = ()
    phrase_hints: tuple[str, ...] = ()


class SegmentDecoder(Protocol):
    """Decodes the segments of one stream.

    Its methods are called on the event loop and must not block it, so an engine may decode segments
    of several streams together.
    """

    async def decode(self, samples: NDArray[np.int16], *, partial: bool) -> Hypothesis:
        """Decodes a whole segment.

        The call may be cancelled when its result is no longer needed; the next call may follow
        immediately.

        Args:
            samples: Mono audio at 16 kHz, shape (samples,). A complete segment ends with at least
                200 ms of silence.
            partial: Whether the person is still speaking. The result is then shown as preliminary
                and soon replaced, so speed matters more than accuracy.

        Raises:
            AnimaError: The decoder has failed; the stream ends with this error.
        """
        ...

    def close(self) -> None:
        """Releases the decoder's resources; called once, also after a failure."""
        ...


@runtime_checkable
class StreamingDecoder(SegmentDecoder, Protocol):
    """A decoder that can also follow a segment while it is spoken.

    Its partial results come from `feed` instead of `decode`. The complete segment is then decoded
    again by `decode`, if the setting `final_pass` allows it.
    """

    async def feed(self, samples: NDArray[np.int16]) -> Hypothesis:
        """Decodes the next audio of the open segment; opens a segment if none is open.

        Returns:
            The result for the segment so far.
        """
        ...

    async def end(self) -> Hypothesis:
        """Ends the open segment; takes a few tenths of a second at most.

        Returns:
            The result for the whole segment.
        """
        ...

    def abandon(self) -> None:
        """Discards the open segment, if any."""
        ...


class AsrEngine(Engine, Protocol):
    """A recogniser; its `EngineInfo.languages` lists at least one language."""

    async def open_decoder(self, config: DecoderConfig) -> SegmentDecoder:
        """Opens a decoder for one stream.

        Raises:
            Busy: All decoders are in use.
        """
        ...
