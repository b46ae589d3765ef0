"""The decoder of one stream, which finds out the language first."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from services.asr.engine import DECODER_RATE_HZ, Hypothesis, SegmentDecoder, StreamingDecoder
from services.asr.engines.whisper.decoder import WhisperDecoder

ENGLISH: Final = "en"


class AutoDecoder:
    """A `services.asr.engine.SegmentDecoder`.

    While a person speaks, Whisper's encoder hears the beginning until it is sure of the language,
    or for three seconds. Before that there are no partial texts: those of the wrong recogniser are
    fluent nonsense. Too short an utterance is taken for the likeliest language.

    Args:
        english: Decodes English.
        whisper: Detects the language, and decodes the others.
        candidates: BCP-47 tags of the possible languages, the likeliest first.
    """

    SURE: ClassVar[float] = 0.9
    """The certainty that ends the detection at once."""
    LIKELY: ClassVar[float] = 0.7
    """The certainty that outweighs the likeliest language."""
    DETECT_SAMPLES: ClassVar[int] = 3 * DECODER_RATE_HZ
    """The speech after which a language is chosen in any case."""

    def __init__(
        self, *, english: SegmentDecoder, whisper: WhisperDecoder, candidates: tuple[str, ...]
    ) -> None:
        self._english = english
        self._whisper = whisper
        self._candidates = candidates
        self._likeliest = candidates[0]
        self._language: str | None = None
        self._heard_samples = 0

    async def decode(self, samples: NDArray[np.int16], *, partial: bool) -> Hypothesis:
        """Decodes a whole segment; see `SegmentDecoder.decode`."""
        if len(samples) < self._heard_samples:
            self._language = None  # another segment
        self._heard_samples = len(samples)
        language = self._language or await self._detect(samples, partial=partial)
        if language is None:
            return Hypothesis()
        self._language = self._likeliest = language
        heard = await self._decode_in(language, samples, partial=partial)
        if not partial:
            self._language = None
            self._heard_samples = 0
        return replace(heard, language=language)

    def close(self) -> None:
        """Releases both decoders."""
        self._english.close()
        self._whisper.close()

    async def _detect(self, samples: NDArray[np.int16], *, partial: bool) -> str | None:
        """Returns the language; None: not sure yet."""
        found, certainty = await self._whisper.detect(
            self._candidates, samples[: self.DETECT_SAMPLES], partial=partial
        )
        if certainty >= self.SURE:
            return found
        if partial and len(samples) < self.DETECT_SAMPLES:
            return None
        return found if certainty >= self.LIKELY else self._likeliest

    async def _decode_in(
        self, language: str, samples: NDArray[np.int16], *, partial: bool
    ) -> Hypothesis:
        if language == ENGLISH:
            if partial and isinstance(self._english, StreamingDecoder):
                # It is made to follow speech; to decode all of it again and again takes too long.
                return Hypothesis()
            return await self._english.decode(samples, partial=partial)
        return await self._whisper.decode_in((language,), samples, partial=partial)
