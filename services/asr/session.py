"""The recognition of one stream: combines voice activity, endpointing and decoding."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.asr.decoding.final_pass import DecoderSpeed, FinalPassPolicy
from services.asr.decoding.joining import join
from services.asr.decoding.segment import LiveSegment, Segment, WholeSegment
from services.asr.engine import (
    DECODER_RATE_HZ,
    DecoderConfig,
    Hypothesis,
    SegmentDecoder,
    StreamingDecoder,
    Word,
)
from services.asr.events import (
    EndGuess,
    Final,
    Partial,
    SpeechEvent,
    SpeechResumed,
    SpeechStarted,
    Transcript,
)
from services.asr.front_end.audio_history import AudioHistory
from services.asr.front_end.endpointing import (
    EndGuessed,
    Endpointer,
    EndpointEvent,
    EndpointingLimits,
    SpeechWentOn,
    UtteranceEnded,
    UtteranceStarted,
)
from services.asr.front_end.voice_activity import WINDOW_SAMPLES, SpeechDetector
from services.runtime.process.compute import Compute
from services.runtime.process.tasks import Tasks

FEED_SAMPLES = 3 * WINDOW_SAMPLES


@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """The configuration of recognition for one stream.

    Attributes:
        sample_rate_hz: The sample rate of its audio, 8,000 to 48,000.
        language: BCP-47, one of the languages that the engine lists.
        candidates: The languages among which the one that is spoken is detected; empty: none.
        not_understood: The language that the caller expects, if the engine does not understand it
            and `language` is another one that the person may speak; empty otherwise.
        limits: When utterances start and end.
        phrase_hints: Likely words; an engine may ignore them.
    """

    sample_rate_hz: int
    language: str
    limits: EndpointingLimits
    candidates: tuple[str, ...] = ()
    phrase_hints: tuple[str, ...] = ()
    not_understood: str = ""

    @property
    def decoder(self) -> DecoderConfig:
        """The part of it that the decoder needs."""
        return DecoderConfig(
            language=self.language, candidates=self.candidates, phrase_hints=self.phrase_hints
        )


class RecognitionSession:
    """The recognition of one stream. Its methods must not be called concurrently.

    Internally samples are counted at 16 kHz; events use the stream's own rate.

    Args:
        config: The configuration of the stream.
        decoder: Decodes its segments; closed with the session.
        compute: Runs voice activity detection.
        policy: Decides whether a streaming decoder decodes a segment again as a whole.
        speed: The measured time of that on this machine; shared by all streams.
    """

    def __init__(
        self,
        config: SessionConfig,
        *,
        decoder: SegmentDecoder,
        compute: Compute,
        policy: FinalPassPolicy,
        speed: DecoderSpeed,
    ) -> None:
        self._rate = config.sample_rate_hz
        self._decoder = decoder
        self._compute = compute
        self._policy = policy
        self._speed = speed
        self._tasks = Tasks("recognition")
        self._detector = SpeechDetector(config.sample_rate_hz)
        self._endpointer = Endpointer(
            config.limits, sample_rate_hz=DECODER_RATE_HZ, window_samples=WINDOW_SAMPLES
        )
        self._history = AudioHistory()
        self._segment: Segment | None = None
        self._closed_segment: Segment | None = None
        self._settled: tuple[Hypothesis, ...] = ()
        self._utterance_start = 0
        self._guess: EndGuess | None = None

    async def accept(self, samples: NDArray[np.int16]) -> AsyncIterator[SpeechEvent]:
        """Takes the next mono samples of the stream; yields each event as soon as it is known."""
        if self._closed_segment is not None and self._closed_segment.decoded:
            await self._closed_segment.settle()
            if guess := self._guess_again(self._closed_segment):
                yield guess
        async for event in self._listen(await self._compute.run(self._detector.process, samples)):
            yield event

    async def finish(self) -> AsyncIterator[SpeechEvent]:
        """Ends the open utterance now. No audio is accepted afterwards."""
        rest = np.zeros(0, np.int16)
        windows = await self._compute.run(self._detector.process, rest, last=True)
        async for event in self._listen(windows):
            yield event
        for endpoint in self._endpointer.finish():
            async for event in self._handle(endpoint):
                yield event

    def drop(self) -> None:
        """Discards the open utterance. The sample count of the stream continues."""
        self._endpointer.drop()
        for segment in (self._segment, self._closed_segment):
            if segment is not None:
                segment.abandon()
        self._segment = self._closed_segment = None
        self._settled = ()

    async def close(self) -> None:
        """Releases the decoder; called once, also after a failure."""
        self.drop()
        self._decoder.close()
        await self._tasks.close()

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
                self._history.forget_before(self._keep_from())
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
                sure = await segment.first_result(segment.GUESS_WAIT_S)
                self._guess = EndGuess(
                    at_sample=self._outside(endpoint.at_sample),
                    transcript=self._transcript(segment),
                )
                yield self._guess
                if not sure:
                    await segment.first_result()
                    if guess := self._guess_again(segment):
                        yield guess
            case SpeechWentOn():
                yield SpeechResumed(at_sample=self._outside(endpoint.at_sample))
                await self._go_on(endpoint.audio_from_sample)
            case UtteranceEnded():
                if self._closed_segment is None:
                    await self._close_segment(endpoint.at_sample)
                segment = await self._settle(wait_s=self._patience_s())
                yield Final(transcript=self._transcript(None, end_sample=segment.end_sample))

    async def _go_on(self, start_sample: int) -> None:
        """Opens a segment for speech after a pause, or the closed one once more."""
        closed = self._closed_segment
        if closed is not None and closed.may_go_on(self._history.end_sample):
            closed.abandon()
            self._closed_segment = None
            start_sample = closed.start_sample
        else:
            await self._settle()
        self._open_segment(start_sample)

    def _keep_from(self) -> int:
        """Returns the oldest sample that is still needed while no segment is open."""
        closed, end = self._closed_segment, self._history.end_sample
        keep = self._endpointer.keep_from_sample
        return min(keep, closed.start_sample) if closed and closed.may_go_on(end) else keep

    def _open_segment(self, start_sample: int) -> None:
        if isinstance(self._decoder, StreamingDecoder):
            self._segment = LiveSegment(
                self._decoder,
                start_sample=start_sample,
                tasks=self._tasks,
                policy=self._policy,
                speed=self._speed,
            )
        else:
            self._segment = WholeSegment(
                self._decoder, start_sample=start_sample, tasks=self._tasks
            )

    async def _close_segment(self, speech_end: int) -> Segment:
        segment = self._segment
        if segment is None:
            raise RuntimeError("no segment is open")
        await self._feed(segment)
        audio = self._history.between(segment.start_sample, segment.end_sample)
        segment.close(audio, silence_samples=segment.end_sample - speech_end)
        self._segment, self._closed_segment = None, segment
        return segment

    def _guess_again(self, segment: Segment) -> EndGuess | None:
        """Returns an updated guess if its text changed or its confidence became known."""
        guess, transcript = self._guess, self._transcript(segment)
        if guess is None:
            return None
        rated = guess.transcript.confidence is not None or transcript.confidence is None
        if rated and transcript.text == guess.transcript.text:
            return None
        self._guess = replace(guess, transcript=transcript)
        return self._guess

    async def _settle(self, wait_s: float | None = None) -> Segment:
        segment = self._closed_segment
        if segment is None:
            raise RuntimeError("no segment is closed")
        await segment.settle(wait_s)
        self._settled += (segment.hypothesis,)
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
        parts = self._settled
        if segment is not None:
            parts += (segment.hypothesis,)
            end_sample = segment.end_sample
        whole = join(parts)
        start, count = self._span_outside(self._utterance_start, end_sample - self._utterance_start)
        return Transcript(
            text=whole.text,
            words=tuple(self._word_outside(word) for word in whole.words),
            start_sample=start,
            sample_count=count,
            confidence=whole.confidence,
            language=whole.language,
            foreign=whole.foreign,
        )

    def _word_outside(self, word: Word) -> Word:
        start, count = self._span_outside(word.start_sample, word.sample_count)
        return replace(word, start_sample=start, sample_count=count)

    def _span_outside(self, start_sample: int, sample_count: int) -> tuple[int, int]:
        start = self._outside(start_sample)
        return start, self._outside(start_sample + sample_count) - start

    def _outside(self, sample: int) -> int:
        return sample * self._rate // DECODER_RATE_HZ
