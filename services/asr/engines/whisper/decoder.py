"""The decoder of one stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.asr.decoding.joining import join
from services.asr.engine import DECODER_RATE_HZ, Hypothesis, Word
from services.asr.engines.whisper.batches import Batches
from services.asr.engines.whisper.model import MAX_SPEECH_S, Job

_MAX_SAMPLES: Final = round(MAX_SPEECH_S * DECODER_RATE_HZ)
_CUT_WITHIN_SAMPLES: Final = 8 * DECODER_RATE_HZ
_CUT_STEP_SAMPLES: Final = 480


class WhisperDecoder:
    """A `services.asr.engine.SegmentDecoder`.

    Args:
        batches: Runs the jobs of all streams.
        languages: BCP-47 tags that the speech may be in, the likeliest first.
        beam: How many transcripts of a complete segment are followed at once.
        on_close: Called when the decoder is closed.
    """

    def __init__(
        self,
        batches: Batches,
        *,
        languages: tuple[str, ...],
        beam: int,
        on_close: Callable[[], None],
    ) -> None:
        self._batches = batches
        self._languages = languages
        self._beam = beam
        self._on_close = on_close

    async def decode(self, samples: NDArray[np.int16], *, partial: bool) -> Hypothesis:
        """Decodes a whole segment; see `SegmentDecoder.decode`."""
        return await self.decode_in(self._languages, samples, partial=partial)

    async def decode_in(
        self, languages: tuple[str, ...], samples: NDArray[np.int16], *, partial: bool
    ) -> Hypothesis:
        """As `decode`, in one of the given languages."""
        if not partial:
            return await self._decode_complete(languages, samples)
        if len(samples) > _MAX_SAMPLES:
            return Hypothesis()  # what has been published so far stays
        heard = await self._batches.run(Job(samples=samples, languages=languages))
        return replace(heard.hypothesis, language=heard.language)

    async def detect(
        self, languages: tuple[str, ...], samples: NDArray[np.int16], *, partial: bool
    ) -> tuple[str, float]:
        """Returns the language that is spoken, one of the given ones, and how sure that is.

        Args:
            languages: BCP-47 tags, the likeliest first.
            samples: Mono audio at 16 kHz; the first seconds are enough.
            partial: Whether the person is still speaking.
        """
        job = Job(
            samples=samples[:_CUT_WITHIN_SAMPLES],
            languages=languages,
            final=not partial,
            transcribe=False,
        )
        heard = await self._batches.run(job)
        return heard.language, heard.certainty

    def close(self) -> None:
        """Returns its place."""
        self._on_close()

    async def _decode_complete(
        self, languages: tuple[str, ...], samples: NDArray[np.int16]
    ) -> Hypothesis:
        parts: list[Hypothesis] = []
        for piece, start in pieces_of(samples):
            job = Job(samples=piece, languages=languages, beam=self._beam, final=True)
            heard = await self._batches.run(job)
            languages = (heard.language,)
            parts.append(replace(heard.hypothesis, words=_moved(heard.hypothesis.words, start)))
        return replace(join(tuple(parts)), language=languages[0])


def pieces_of(samples: NDArray[np.int16]) -> list[tuple[NDArray[np.int16], int]]:
    """Cuts a recording that is too long for one window at its quietest places.

    Returns:
        The pieces, each with the index of its first sample.
    """
    pieces = []
    start = 0
    while len(samples) - start > _MAX_SAMPLES:
        latest = start + _MAX_SAMPLES
        searched = samples[latest - _CUT_WITHIN_SAMPLES : latest].astype(np.float32)
        steps = searched[: len(searched) // _CUT_STEP_SAMPLES * _CUT_STEP_SAMPLES]
        loudness = (steps.reshape(-1, _CUT_STEP_SAMPLES) ** 2).mean(axis=1)
        end = latest - _CUT_WITHIN_SAMPLES
        end += int(loudness.argmin()) * _CUT_STEP_SAMPLES + _CUT_STEP_SAMPLES // 2
        pieces.append((samples[start:end], start))
        start = end
    return [*pieces, (samples[start:], start)]


def _moved(words: tuple[Word, ...], by_samples: int) -> tuple[Word, ...]:
    return tuple(replace(word, start_sample=word.start_sample + by_samples) for word in words)
