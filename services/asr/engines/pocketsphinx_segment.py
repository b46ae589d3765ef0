"""One segment: the speech between two pauses, decoded live and then once more as a whole."""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from services.asr.engine import Transcript, Word
from services.asr.engines.pocketsphinx_decoder import DecoderProcess
from services.asr.engines.pocketsphinx_worker import (
    BEGIN,
    BEGIN_SAME_SPEAKER,
    DECODE,
    END,
    FEED,
)
from services.asr.settings import FinalPass

DECODER_RATE_HZ = 16_000
FRAME_SAMPLES = 160
PADDING_SAMPLES = 200 * DECODER_RATE_HZ // 1000

_FILLER = re.compile(r"[<\[+].*")
_VARIANT = re.compile(r"\(\d+\)$")


@dataclass(frozen=True, kw_only=True)
class FinalPassPolicy:
    """Whether a segment is decoded a second time as a whole.

    Attributes:
        mode: "always" and "never" say it; "auto" decodes again when the result will be there
            `max_wait_ms` after the end of the utterance at the latest, and does not wait longer.
        max_wait_ms: The bound of "auto".
        head_start_ms: What passes between a guess of the end and the end: the second pass starts at
            the guess, and this part of it costs nobody time.
    """

    mode: FinalPass
    max_wait_ms: int
    head_start_ms: int

    def worth_it(self, expected_ms: float) -> bool:
        """Says whether to start a pass that will take `expected_ms`."""
        if self.mode == "auto":
            return expected_ms <= self.max_wait_ms + self.head_start_ms
        return self.mode == "always"


class DecoderSpeed:
    """How long a second pass takes on this machine, learned as it goes."""

    USUAL_MS_PER_SECOND: ClassVar[float] = 200.0

    def __init__(self) -> None:
        self._ms_per_second = self.USUAL_MS_PER_SECOND

    def expected_ms(self, samples: int) -> float:
        """How long `samples` at 16 kHz will take."""
        return self._ms_per_second * samples / DECODER_RATE_HZ

    def learn(self, samples: int, took_ms: float) -> None:
        """Takes a measurement into account."""
        self._approach(took_ms * DECODER_RATE_HZ / samples)

    def forget(self) -> None:
        """Trusts the measurements less, after a pass that was not made.

        Otherwise a machine that was busy once would never try a second pass again.
        """
        self._approach(self.USUAL_MS_PER_SECOND)

    def _approach(self, ms_per_second: float) -> None:
        self._ms_per_second += 0.3 * (ms_per_second - self._ms_per_second)


class Segment:
    """The decoding of one segment; sample indexes are those of the 16 kHz stream.

    Args:
        decoder: Used by nobody else while the segment lives.
        start_sample: Where its audio begins.
        same_speaker: Whether the decoder has heard the speaker before, in another segment.
    """

    def __init__(self, decoder: DecoderProcess, *, start_sample: int, same_speaker: bool) -> None:
        self.start_sample = start_sample
        self.end_sample = start_sample
        self.words: tuple[Word, ...] = ()
        self._decoder = decoder
        self._same_speaker = same_speaker
        self._live = False
        self._ended: asyncio.Future[dict[str, Any]] | None = None
        self._decoded: asyncio.Task[dict[str, Any]] | None = None

    async def feed(self, audio: NDArray[np.int16]) -> bool:
        """Decodes the audio that follows, live.

        Returns:
            Whether `words` have changed.
        """
        pcm = audio.tobytes()
        if not self._live:
            self._decoder.request(BEGIN_SAME_SPEAKER if self._same_speaker else BEGIN)
            self._live = True
        self.end_sample += len(audio)
        before = [word.text for word in self.words]
        answer = await self._decoder.request(FEED, pcm)
        self.words = self._read_words(answer, sure=False)
        return before != [word.text for word in self.words]

    def close(
        self,
        audio: NDArray[np.int16],
        *,
        silence_samples: int,
        policy: FinalPassPolicy,
        speed: DecoderSpeed,
    ) -> None:
        """Ends the live decoding and starts the second pass, if it is worth it.

        A word that ends with the last sample is lost, so silence is added where there is too
        little; but not more than that, since silence falsifies the mean of a short segment.

        Args:
            audio: All audio of the segment.
            silence_samples: How much of its end is silence.
            policy: Whether there is a second pass.
            speed: What it will cost; it learns from it.
        """
        padding = _near_silence(PADDING_SAMPLES - silence_samples)
        if self._live and len(padding):
            self._decoder.request(FEED, padding.tobytes())
        self._ended = self.abandon()
        if len(audio) and policy.worth_it(speed.expected_ms(len(audio))):
            whole = np.concatenate([audio, padding])
            self._decoded = asyncio.create_task(self._decode_again(whole, speed))
        else:
            speed.forget()

    async def end_live(self, wait_s: float | None = None) -> bool:
        """Puts the result of the live decoding into `words`, once it is there.

        The decoder looks over all of its hypotheses when an utterance ends, which changes words
        and says how sure of each it is; that takes 40 ms after a second of speech and 250 ms after
        eight.

        Args:
            wait_s: How long to wait; None: until it is done.

        Returns:
            Whether it is there.
        """
        if self._ended is None:
            return True
        done, _ = await asyncio.wait({self._ended}, timeout=wait_s)
        if done:
            self.words = self._read_words(self._ended.result(), sure=True)
        return bool(done)

    @property
    def decoded_again(self) -> bool:
        """Whether the second pass is done."""
        return self._decoded is not None and self._decoded.done()

    async def settle(self, wait_s: float | None) -> None:
        """Puts the best result that there is into `words`.

        Args:
            wait_s: How long to wait for the second pass; None: until it is done.
        """
        if self._decoded is not None:
            done, _ = await asyncio.wait({self._decoded}, timeout=wait_s)
            if done:
                self.words = self._read_words(self._decoded.result(), sure=True)
                return
        await self.end_live()

    def abandon(self) -> "asyncio.Future[dict[str, Any]] | None":
        """Ends the live decoding without a second pass, so that the decoder can be used again."""
        if self._decoded is not None:
            self._decoded.cancel()
        if not self._live:
            return None
        self._live = False
        return self._decoder.request(END)

    async def _decode_again(self, audio: NDArray[np.int16], speed: DecoderSpeed) -> dict[str, Any]:
        if self._ended is not None:
            await asyncio.wait({self._ended})
        started = time.monotonic()
        answer = await self._decoder.request(DECODE, audio.tobytes())
        speed.learn(len(audio), (time.monotonic() - started) * 1000)
        return answer

    def _read_words(self, answer: dict[str, Any], *, sure: bool) -> tuple[Word, ...]:
        return tuple(
            self._word(text, first, last, probability if sure else None)
            for text, first, last, probability in answer["words"]
            if not _FILLER.fullmatch(text)
        )

    def _word(self, text: str, first: int, last: int, confidence: float | None) -> Word:
        start = min(self.start_sample + first * FRAME_SAMPLES, self.end_sample)
        end = min(self.start_sample + (last + 1) * FRAME_SAMPLES, self.end_sample)
        return Word(
            text=_VARIANT.sub("", text),
            start_sample=start,
            sample_count=end - start,
            confidence=None if confidence is None else min(max(confidence, 0.0), 1.0),
        )


def join(words: tuple[Word, ...], *, start_sample: int, end_sample: int) -> Transcript:
    """Makes a transcript of words; its confidence is the mean of theirs."""
    known = [word.confidence for word in words if word.confidence is not None]
    return Transcript(
        text=" ".join(word.text for word in words),
        words=words,
        start_sample=start_sample,
        sample_count=end_sample - start_sample,
        confidence=sum(known) / len(known) if words and len(known) == len(words) else None,
    )


def _near_silence(samples: int) -> NDArray[np.int16]:
    """Not digital zero, which no room gives and no acoustic model has heard."""
    return np.random.default_rng(0).integers(-2, 3, max(samples, 0), dtype=np.int16)
