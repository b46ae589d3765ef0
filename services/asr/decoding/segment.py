"""One segment, the speech between two pauses, and its decoding."""

import asyncio
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from services.asr.decoding.final_pass import DecoderSpeed, FinalPassPolicy
from services.asr.decoding.stable_text import StableText
from services.asr.engine import (
    DECODER_RATE_HZ,
    Hypothesis,
    SegmentDecoder,
    StreamingDecoder,
    Word,
)
from services.runtime.process.tasks import Tasks

PADDING_SAMPLES = 200 * DECODER_RATE_HZ // 1000


class Segment(ABC):
    """The decoding of one segment; sample indexes are those of the stream at 16 kHz.

    Attributes:
        start_sample: The start of its audio.
        end_sample: The end of the audio received so far.
    """

    GUESS_WAIT_S: ClassVar[float] = 0.1
    """How long a guess of the end waits for the first result after it."""

    def __init__(self, *, start_sample: int, tasks: Tasks) -> None:
        self.start_sample = start_sample
        self.end_sample = start_sample
        self._tasks = tasks
        self._result = Hypothesis()
        self._decoding: asyncio.Task[Hypothesis] | None = None

    @property
    def hypothesis(self) -> Hypothesis:
        """The best result so far, with the stream's sample indexes for its words."""
        return replace(self._result, words=tuple(map(self._placed, self._result.words)))

    @property
    def decoded(self) -> bool:
        """Whether the last decoding of the segment is done."""
        return self._decoding is not None and self._decoding.done()

    def may_go_on(self, end_sample: int) -> bool:
        """Returns whether the closed segment and what follows it are better decoded as one.

        Args:
            end_sample: The end of what follows, so far.
        """
        return False

    @abstractmethod
    async def feed(self, audio: NDArray[np.int16]) -> bool:
        """Takes the next audio.

        Returns:
            Whether the text has changed.
        """

    @abstractmethod
    def close(self, audio: NDArray[np.int16], *, silence_samples: int) -> None:
        """Ends the segment.

        A word that ends with the last sample is lost, so short trailing silence is padded; but only
        up to the minimum, because silence distorts the mean of a short segment.

        Args:
            audio: All audio of the segment.
            silence_samples: The length of the silence at its end.
        """

    @abstractmethod
    async def first_result(self, wait_s: float | None = None) -> bool:
        """Takes the first result after the end, once it is available.

        Args:
            wait_s: How long to wait; None waits until it is available.

        Returns:
            False if it is not available yet and a longer wait is worthwhile.
        """

    @abstractmethod
    async def settle(self, wait_s: float | None = None) -> None:
        """Takes the best available result.

        Args:
            wait_s: How long to wait for a second decoding; None waits until it is done.
        """

    def abandon(self) -> None:
        """Cancels all work for the segment."""
        if self._decoding is not None:
            self._decoding.cancel()

    def _take(self, result: Hypothesis) -> bool:
        changed = result.text != self._result.text
        self._result = result
        return changed

    def _placed(self, word: Word) -> Word:
        start = min(self.start_sample + word.start_sample, self.end_sample)
        end = min(self.start_sample + word.start_sample + word.sample_count, self.end_sample)
        return replace(word, start_sample=start, sample_count=end - start)


class LiveSegment(Segment):
    """A segment whose decoder follows it while it is spoken and may decode it once more.

    Args:
        decoder: Must not be used by another segment during this one's lifetime.
        start_sample: The start of its audio.
        tasks: Owns the work that continues after a call.
        policy: Decides whether there is a second decoding.
        speed: Estimates the time of a second decoding, and is updated with it.
    """

    def __init__(
        self,
        decoder: StreamingDecoder,
        *,
        start_sample: int,
        tasks: Tasks,
        policy: FinalPassPolicy,
        speed: DecoderSpeed,
    ) -> None:
        super().__init__(start_sample=start_sample, tasks=tasks)
        self._decoder = decoder
        self._policy = policy
        self._speed = speed
        self._ending: asyncio.Task[Hypothesis] | None = None

    async def feed(self, audio: NDArray[np.int16]) -> bool:
        """Decodes the next audio; see `Segment.feed`."""
        self.end_sample += len(audio)
        return self._take(await self._decoder.feed(audio))

    def close(self, audio: NDArray[np.int16], *, silence_samples: int) -> None:
        """Ends the live decoding and starts the second one if it is worth it."""
        padding = near_silence(PADDING_SAMPLES - silence_samples)
        if self.end_sample > self.start_sample:
            self._ending = self._tasks.start(self._end(padding), name="asr end of segment")
        if len(audio) and self._policy.worth_it(self._speed.expected_ms(len(audio))):
            whole = np.concatenate([audio, padding])
            self._decoding = self._tasks.start(self._decode_again(whole), name="asr second pass")
        else:
            self._speed.forget()

    async def first_result(self, wait_s: float | None = None) -> bool:
        """Takes the result of the live decoding.

        A decoder may review all of its hypotheses at the end of a segment, which changes words and
        adds their confidences. With pocketsphinx that takes 40 ms after a second of speech and
        250 ms after eight.
        """
        if self._ending is None:
            return True
        done, _ = await asyncio.wait({self._ending}, timeout=wait_s)
        if done:
            self._take(self._ending.result())
        return bool(done)

    async def settle(self, wait_s: float | None = None) -> None:
        """Takes the second result if it is available in time, else that of the live decoding."""
        if self._decoding is not None:
            done, _ = await asyncio.wait({self._decoding}, timeout=wait_s)
            if done:
                self._take(self._decoding.result())
                return
        await self.first_result()

    def abandon(self) -> None:
        """Cancels all work, so that the decoder can be used again."""
        super().abandon()
        if self._ending is not None:
            self._ending.cancel()
        self._decoder.abandon()

    async def _end(self, padding: NDArray[np.int16]) -> Hypothesis:
        if len(padding):
            await self._decoder.feed(padding)
        return await self._decoder.end()

    async def _decode_again(self, audio: NDArray[np.int16]) -> Hypothesis:
        if self._ending is not None:
            await asyncio.wait({self._ending})
        started = time.monotonic()
        result = await self._decoder.decode(audio, partial=False)
        self._speed.learn(len(audio), (time.monotonic() - started) * 1000)
        return result


class WholeSegment(Segment):
    """A segment whose decoder can only decode it as a whole.

    While it is spoken, the audio so far is decoded from time to time. Words are published once two
    results in a row agree on them.

    Args:
        decoder: Must not be used by another segment during this one's lifetime.
        start_sample: The start of its audio.
        tasks: Owns the work that continues after a call.
    """

    PARTIAL_SAMPLES: ClassVar[int] = 2 * DECODER_RATE_HZ // 5
    """New audio before the next partial result, provided that the previous one is done."""
    PARTIAL_SHARE: ClassVar[float] = 0.25
    """The share of the time that partial results may take; after a slow one there is a pause."""
    GUESS_WAIT_S: ClassVar[float] = 0.4
    """Longer than for live decoding, whose words are known by then: an answer to half of a question
    is worth nothing."""
    JOINED_SAMPLES: ClassVar[int] = 8 * DECODER_RATE_HZ
    """Speech of this length that goes on after a pause is decoded again from its beginning, so that
    a sentence with a pause in it stays one sentence."""

    def __init__(self, decoder: SegmentDecoder, *, start_sample: int, tasks: Tasks) -> None:
        super().__init__(start_sample=start_sample, tasks=tasks)
        self._decoder = decoder
        self._pieces: list[NDArray[np.int16]] = []
        self._new_samples = 0
        self._wanted_samples = self.PARTIAL_SAMPLES
        self._stable = StableText()

    def may_go_on(self, end_sample: int) -> bool:
        """Returns whether both are short enough; see `Segment.may_go_on`."""
        return end_sample - self.start_sample <= self.JOINED_SAMPLES

    async def feed(self, audio: NDArray[np.int16]) -> bool:
        """Takes the next audio and any finished partial result; see `Segment.feed`."""
        self.end_sample += len(audio)
        self._pieces.append(audio)
        self._new_samples += len(audio)
        changed = False
        if self.decoded:
            changed = self._take_decoded()
        if self._decoding is None and self._new_samples >= self._wanted_samples:
            self._pieces = [np.concatenate(self._pieces)]
            self._new_samples = 0
            self._decoding = self._tasks.start(
                self._decode_partly(self._pieces[0]), name="asr partial decoding"
            )
        return changed

    def close(self, audio: NDArray[np.int16], *, silence_samples: int) -> None:
        """Starts the decoding of the complete segment; see `Segment.close`."""
        self.abandon()
        self._decoding = None
        self._pieces = []
        if len(audio):
            whole = np.concatenate([audio, near_silence(PADDING_SAMPLES - silence_samples)])
            self._decoding = self._tasks.start(
                self._decoder.decode(whole, partial=False), name="asr decoding"
            )

    async def first_result(self, wait_s: float | None = None) -> bool:
        """Takes the result if it is available in time; a longer wait is never worthwhile."""
        if self._decoding is not None:
            await asyncio.wait({self._decoding}, timeout=wait_s)
            if self.decoded:
                self._take(self._decoding.result())
        return True

    async def settle(self, wait_s: float | None = None) -> None:
        """Takes the result regardless of `wait_s`, because there is no other."""
        await self.first_result()

    async def _decode_partly(self, audio: NDArray[np.int16]) -> Hypothesis:
        clock = asyncio.get_running_loop().time
        started = clock()
        result = await self._decoder.decode(audio, partial=True)
        took = (clock() - started) * DECODER_RATE_HZ
        self._wanted_samples = max(self.PARTIAL_SAMPLES, round(took / self.PARTIAL_SHARE))
        return Hypothesis(text=self._stable.take(result.text), language=result.language)

    def _take_decoded(self) -> bool:
        decoding, self._decoding = self._decoding, None
        return decoding is not None and self._take(decoding.result())


def near_silence(samples: int) -> NDArray[np.int16]:
    """Returns faint noise; digital zero occurs in no room and in no acoustic model's training."""
    return np.random.default_rng(0).integers(-2, 3, max(samples, 0), dtype=np.int16)
