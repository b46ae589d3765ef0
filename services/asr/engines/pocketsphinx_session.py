"""The recognition of one stream: voice activity, endpointing and decoding put together."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.asr.audio_history import AudioHistory
from services.asr.endpointing import (
    EndGuessed,
    Endpointer,
    EndpointEvent,
    SpeechWentOn,
    UtteranceEnded,
    UtteranceStarted,
)
from services.asr.engine import (
    EndGuess,
    Final,
    Partial,
    SessionConfig,
    SpeechEvent,
    SpeechResumed,
    SpeechStarted,
    Transcript,
    Word,
)
from services.asr.engines.pocketsphinx_decoder import DecoderProcess
from services.asr.engines.pocketsphinx_segment import (
    DecoderSpeed,
    FinalPassPolicy,
    Segment,
    join,
)
from services.asr.engines.silero import VAD_RATE_HZ, WINDOW_SAMPLES, SpeechDetector
from services.runtime.compute import Compute

FEED_SAMPLES = 3 * WINDOW_SAMPLES
# A guess waits that long for words that will last; after a long utterance it first comes without.
_GUESS_WAIT_S = 0.1


class PocketsphinxSession:
    """A `services.asr.engine.RecognitionSession` on one decoder process.

    Everything inside counts samples at 16 kHz; events leave in the stream's own rate.
    """

    def __init__(
        self,
        config: SessionConfig,
        *,
        decoder: DecoderProcess,
        compute: Compute,
        policy: FinalPassPolicy,
        speed: DecoderSpeed,
        on_close: Callable[[], None],
    ) -> None:
        self._rate = config.sample_rate_hz
        self._decoder = decoder
        self._compute = compute
        self._policy = policy
        self._speed = speed
        self._on_close = on_close
        self._detector = SpeechDetector(config.sample_rate_hz)
        self._endpointer = Endpointer(
            config.limits, sample_rate_hz=VAD_RATE_HZ, window_samples=WINDOW_SAMPLES
        )
        self._history = AudioHistory()
        self._heard_before = False
        self._segment: Segment | None = None
        self._closed_segment: Segment | None = None
        self._settled: tuple[Word, ...] = ()
        self._utterance_start = 0
        self._guess: EndGuess | None = None

    async def accept(self, samples: NDArray[np.int16]) -> AsyncIterator[SpeechEvent]:
        """Takes the next samples; see `RecognitionSession.accept`."""
        if self._closed_segment is not None and self._closed_segment.decoded_again:
            await self._closed_segment.settle(wait_s=None)
            if guess := self._guess_anew(self._closed_segment):
                yield guess
        async for event in self._listen(await self._compute.run(self._detector.process, samples)):
            yield event

    async def finish(self) -> AsyncIterator[SpeechEvent]:
        """Ends the open utterance; see `RecognitionSession.finish`."""
        rest = np.zeros(0, np.int16)
        windows = await self._compute.run(self._detector.process, rest, last=True)
        async for event in self._listen(windows):
            yield event
        for endpoint in self._endpointer.finish():
            async for event in self._handle(endpoint):
                yield event

    def drop(self) -> None:
        """Forgets the open utterance; see `RecognitionSession.drop`."""
        self._endpointer.drop()
        for segment in (self._segment, self._closed_segment):
            if segment is not None:
                segment.abandon()
        self._segment = self._closed_segment = None
        self._settled = ()

    def close(self) -> None:
        """Leaves the decoder ready for another stream."""
        self.drop()
        self._on_close()

    async def _listen(
        self, windows: list[tuple[NDArray[np.int16], float]]
    ) -> AsyncIterator[SpeechEvent]:
        for window, probability in windows:
            self._history.append(window)
            for endpoint in self._endpointer.accept(probability):
                async for event in self._handle(endpoint):
                    yield event
            segment = self._segment
            if segment is None:
                self._history.forget_before(self._endpointer.keep_from_sample)
            elif self._unfed(segment) >= FEED_SAMPLES and await self._feed(segment):
                yield Partial(transcript=self._transcript(segment))
        if self._segment is not None and await self._feed(self._segment):
            yield Partial(transcript=self._transcript(self._segment))

    async def _handle(self, endpoint: EndpointEvent) -> AsyncIterator[SpeechEvent]:
        match endpoint:
            case UtteranceStarted():
                self._utterance_start = endpoint.audio_from_sample
                self._settled = ()
                yield SpeechStarted(at_sample=self._outside(endpoint.at_sample))
                self._open_segment(endpoint.audio_from_sample)
            case EndGuessed():
                segment = await self._close_segment(endpoint.at_sample)
                sure = await segment.end_live(_GUESS_WAIT_S)
                self._guess = EndGuess(
                    at_sample=self._outside(endpoint.at_sample),
                    transcript=self._transcript(segment),
                )
                yield self._guess
                if not sure:
                    await segment.end_live()
                    if guess := self._guess_anew(segment):
                        yield guess
            case SpeechWentOn():
                yield SpeechResumed(at_sample=self._outside(endpoint.at_sample))
                await self._settle(wait_s=None)
                self._open_segment(endpoint.audio_from_sample)
            case UtteranceEnded():
                if self._closed_segment is None:
                    await self._close_segment(endpoint.at_sample)
                segment = await self._settle(wait_s=self._patience_s())
                yield Final(transcript=self._transcript(None, end_sample=segment.end_sample))

    def _open_segment(self, start_sample: int) -> None:
        self._segment = Segment(
            self._decoder, start_sample=start_sample, same_speaker=self._heard_before
        )
        self._heard_before = True

    async def _close_segment(self, speech_end: int) -> Segment:
        segment = self._segment
        if segment is None:
            raise RuntimeError("no segment is open")
        await self._feed(segment)
        audio = self._history.between(segment.start_sample, segment.end_sample)
        segment.close(
            audio,
            silence_samples=segment.end_sample - speech_end,
            policy=self._policy,
            speed=self._speed,
        )
        self._segment, self._closed_segment = None, segment
        return segment

    def _guess_anew(self, segment: Segment) -> EndGuess | None:
        """Gives the guess again if it has other words now, or is known to be sure or not."""
        guess, transcript = self._guess, self._transcript(segment)
        if guess is None:
            return None
        rated = guess.transcript.confidence is not None or transcript.confidence is None
        if rated and transcript.text == guess.transcript.text:
            return None
        self._guess = replace(guess, transcript=transcript)
        return self._guess

    async def _settle(self, wait_s: float | None) -> Segment:
        segment = self._closed_segment
        if segment is None:
            raise RuntimeError("no segment is closed")
        await segment.settle(wait_s)
        self._settled += segment.words
        self._closed_segment = None
        return segment

    async def _feed(self, segment: Segment) -> bool:
        if not self._unfed(segment):
            return False
        return await segment.feed(
            self._history.between(segment.end_sample, self._history.end_sample)
        )

    def _unfed(self, segment: Segment) -> int:
        return self._history.end_sample - segment.end_sample

    def _patience_s(self) -> float | None:
        return self._policy.max_wait_ms / 1000 if self._policy.mode == "auto" else None

    def _transcript(self, segment: Segment | None, *, end_sample: int = 0) -> Transcript:
        words = self._settled
        if segment is not None:
            words += segment.words
            end_sample = segment.end_sample
        inside = join(words, start_sample=self._utterance_start, end_sample=end_sample)
        start, count = self._span_outside(inside.start_sample, inside.sample_count)
        return replace(
            inside,
            words=tuple(self._word_outside(word) for word in inside.words),
            start_sample=start,
            sample_count=count,
        )

    def _word_outside(self, word: Word) -> Word:
        start, count = self._span_outside(word.start_sample, word.sample_count)
        return replace(word, start_sample=start, sample_count=count)

    def _span_outside(self, start_sample: int, sample_count: int) -> tuple[int, int]:
        start = self._outside(start_sample)
        return start, self._outside(start_sample + sample_count) - start

    def _outside(self, sample: int) -> int:
        return sample * self._rate // VAD_RATE_HZ
