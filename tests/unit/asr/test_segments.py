"""Segments on decoders whose answers are triggered by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from numpy.typing import NDArray

from services.asr.decoding.final_pass import DecoderSpeed, FinalPassPolicy
from services.asr.decoding.joining import join
from services.asr.decoding.segment import PADDING_SAMPLES, LiveSegment, WholeSegment
from services.asr.engine import DecoderConfig, Hypothesis, StreamingDecoder, Word
from services.asr.events import EndGuess, Final, Partial, SpeechEvent, SpeechStarted
from services.asr.front_end.endpointing import EndpointingLimits
from services.asr.recogniser import Recogniser
from services.asr.session import SessionConfig
from services.asr.settings import AsrSettings
from services.runtime.engine import EngineInfo
from services.runtime.errors import Unavailable
from services.runtime.process.tasks import Tasks
from testing.virtual_time import in_virtual_time
from tests.speech import RATE_HZ, go_forward, with_silence

HALF_S = WholeSegment.PARTIAL_SAMPLES
ALWAYS = FinalPassPolicy(mode="always", max_wait_ms=0, head_start_ms=0)
NEVER = FinalPassPolicy(mode="never", max_wait_ms=0, head_start_ms=0)


def test_an_utterance_is_foreign_if_all_of_it_is() -> None:
    known, foreign = Hypothesis(text="yes"), Hypothesis(text="no", foreign=True)
    assert join((foreign, Hypothesis(foreign=True))).foreign
    assert not join((foreign, known)).foreign
    assert not join(()).foreign


def audio(samples: int) -> NDArray[np.int16]:
    return np.ones(samples, np.int16)


class Decoding:
    """A call of `decode` that waits for its answer."""

    def __init__(self, samples: NDArray[np.int16], *, partial: bool) -> None:
        self.samples = samples
        self.partial = partial
        self.answer: asyncio.Future[Hypothesis] = asyncio.get_running_loop().create_future()


class WholeDecoder:
    """Decodes whole segments when the test says what it hears."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[Decoding] = asyncio.Queue()
        self.closed = False

    async def decode(self, samples: NDArray[np.int16], *, partial: bool) -> Hypothesis:
        call = Decoding(samples, partial=partial)
        self.calls.put_nowait(call)
        return await call.answer

    def close(self) -> None:
        self.closed = True


class LiveDecoder(WholeDecoder):
    """Hears one word more with each piece of audio."""

    def __init__(self) -> None:
        super().__init__()
        self.fed: list[int] = []
        self.ended = asyncio.Event()
        self.abandoned = False

    async def feed(self, samples: NDArray[np.int16]) -> Hypothesis:
        self.fed.append(len(samples))
        return Hypothesis(text=" ".join(["live"] * len(self.fed)))

    async def end(self) -> Hypothesis:
        await self.ended.wait()
        return Hypothesis(text="live end", confidence=0.5)

    def abandon(self) -> None:
        self.abandoned = True


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    tasks = Tasks("test")
    yield tasks
    await tasks.close()


async def test_a_whole_segment_has_partial_results_while_it_is_spoken(tasks: Tasks) -> None:
    decoder = WholeDecoder()
    segment = WholeSegment(decoder, start_sample=0, tasks=tasks)
    assert not await segment.feed(audio(HALF_S - 1))
    assert not await segment.feed(audio(1))
    first = await decoder.calls.get()
    assert (len(first.samples), first.partial) == (HALF_S, True)
    assert not await segment.feed(audio(HALF_S)), "one decoding at a time"
    assert decoder.calls.empty()
    first.answer.set_result(Hypothesis(text="Go on."))
    await tasks.wait(timeout_s=10)
    assert not await segment.feed(audio(10)), "two results must agree"
    second = await decoder.calls.get()
    assert len(second.samples) == 2 * HALF_S + 10
    second.answer.set_result(Hypothesis(text="Go on now.", confidence=0.9))
    await tasks.wait(timeout_s=10)
    assert await segment.feed(audio(10))
    assert segment.hypothesis == Hypothesis(text="Go on")


async def test_a_closed_segment_is_decoded_whole_with_silence_at_its_end(tasks: Tasks) -> None:
    decoder = WholeDecoder()
    segment = WholeSegment(decoder, start_sample=0, tasks=tasks)
    await segment.feed(audio(HALF_S))
    partial = await decoder.calls.get()
    segment.close(audio(HALF_S), silence_samples=100)
    call = await decoder.calls.get()
    assert partial.answer.cancelled()
    assert (len(call.samples), call.partial) == (HALF_S + PADDING_SAMPLES - 100, False)
    assert await segment.first_result(0), "the guess does not wait for a whole decoding"
    assert segment.hypothesis.text == ""
    call.answer.set_result(Hypothesis(text="go on"))
    await segment.settle(0)
    assert segment.hypothesis.text == "go on"


def test_after_a_slow_partial_result_there_is_a_pause() -> None:
    async def main() -> None:
        tasks = Tasks("test")
        decoder = WholeDecoder()
        segment = WholeSegment(decoder, start_sample=0, tasks=tasks)
        await segment.feed(audio(HALF_S))
        first = await decoder.calls.get()
        await asyncio.sleep(0.5)
        first.answer.set_result(Hypothesis(text="go"))
        await tasks.wait(timeout_s=10)
        await segment.feed(audio(2 * RATE_HZ - 1))
        assert decoder.calls.empty()
        await segment.feed(audio(1))
        assert (await decoder.calls.get()).partial
        await tasks.close()

    in_virtual_time(main)


async def test_a_decoder_that_fails_fails_the_segment(tasks: Tasks) -> None:
    decoder = WholeDecoder()
    segment = WholeSegment(decoder, start_sample=0, tasks=tasks)
    await segment.feed(audio(HALF_S))
    (await decoder.calls.get()).answer.set_exception(Unavailable("gone"))
    await tasks.wait(timeout_s=10)
    with pytest.raises(Unavailable, match="gone"):
        await segment.feed(audio(1))


async def test_a_live_segment_is_decoded_again_as_a_whole(tasks: Tasks) -> None:
    decoder = LiveDecoder()
    segment = LiveSegment(decoder, start_sample=0, tasks=tasks, policy=ALWAYS, speed=DecoderSpeed())
    assert await segment.feed(audio(100))
    segment.close(audio(100), silence_samples=PADDING_SAMPLES)
    assert not await segment.first_result(0)
    decoder.ended.set()
    assert await segment.first_result()
    assert segment.hypothesis == Hypothesis(text="live end", confidence=0.5)
    call = await decoder.calls.get()
    assert not call.partial
    call.answer.set_result(Hypothesis(text="whole"))
    await segment.settle()
    assert segment.hypothesis.text == "whole"


async def test_a_live_segment_without_a_second_pass_keeps_its_live_result(tasks: Tasks) -> None:
    decoder = LiveDecoder()
    decoder.ended.set()
    segment = LiveSegment(decoder, start_sample=0, tasks=tasks, policy=NEVER, speed=DecoderSpeed())
    await segment.feed(audio(100))
    segment.close(audio(100), silence_samples=0)
    await segment.settle()
    assert segment.hypothesis.text == "live end"
    assert decoder.fed == [100, PADDING_SAMPLES]
    assert decoder.calls.empty()


async def test_an_abandoned_segment_leaves_the_decoder_free(tasks: Tasks) -> None:
    decoder = LiveDecoder()
    segment = LiveSegment(decoder, start_sample=0, tasks=tasks, policy=ALWAYS, speed=DecoderSpeed())
    await segment.feed(audio(100))
    segment.close(audio(100), silence_samples=PADDING_SAMPLES)
    segment.abandon()
    await tasks.wait(timeout_s=10)
    assert decoder.abandoned
    assert not len(tasks)


async def test_words_lie_on_the_clock_of_the_stream_and_within_the_segment(tasks: Tasks) -> None:
    decoder = WholeDecoder()
    segment = WholeSegment(decoder, start_sample=1_000, tasks=tasks)
    await segment.feed(audio(100))
    segment.close(audio(100), silence_samples=PADDING_SAMPLES)
    call = await decoder.calls.get()
    words = (
        Word(text="a", start_sample=10, sample_count=20),
        Word(text="b", start_sample=90, sample_count=40),
        Word(text="c", start_sample=130, sample_count=5),
    )
    call.answer.set_result(Hypothesis(text="a b c", words=words))
    await segment.settle()
    placed = [(word.start_sample, word.sample_count) for word in segment.hypothesis.words]
    assert placed == [(1_010, 20), (1_090, 10), (1_100, 0)]


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (("go on", "and on"), "go on and on"),
        (("", "go", ""), "go"),
        (("你好。", "我在"), "你好。我在"),
        (("打开", "VPN"), "打开VPN"),
        ((), ""),
    ],
)
def test_the_segments_of_an_utterance_are_joined(texts: tuple[str, ...], whole: str) -> None:
    assert join(tuple(Hypothesis(text=text) for text in texts)).text == whole


def test_the_confidence_of_an_utterance_is_the_mean_of_what_is_known() -> None:
    def word(confidence: float | None) -> Word:
        return Word(text="w", start_sample=0, sample_count=1, confidence=confidence)

    sure = Hypothesis(text="w w", words=(word(1.0), word(0.5)))
    assert join((sure, Hypothesis(text="w", words=(word(0.0),)))).confidence == 0.5
    assert join((sure, Hypothesis(text="w", words=(word(None),)))).confidence is None
    wordless = (Hypothesis(text="a", confidence=0.4), Hypothesis(text="b", confidence=0.8))
    assert join(wordless).confidence == pytest.approx(0.6)
    assert join(()).confidence is None


class WholeEngine:
    """An engine whose decoder knows nothing but how much speech it is given."""

    def __init__(self) -> None:
        self.decoder = SecondsDecoder()

    async def open(self) -> None:
        pass

    def describe(self) -> EngineInfo:
        return EngineInfo(name="whole", version="1", licence="MIT", languages=("en",))

    async def open_decoder(self, config: DecoderConfig) -> SecondsDecoder:
        assert config.language == "en"
        return self.decoder

    async def close(self) -> None:
        pass


class SecondsDecoder:
    def __init__(self) -> None:
        self.closed = False

    async def decode(self, samples: NDArray[np.int16], *, partial: bool) -> Hypothesis:
        kind = "some" if partial else "all"
        return Hypothesis(text=f"{kind} of {len(samples) / RATE_HZ:.1f} seconds")

    def close(self) -> None:
        self.closed = True


async def test_an_engine_needs_nothing_but_decode_to_recognise_a_stream() -> None:
    engine = WholeEngine()
    assert not isinstance(engine.decoder, StreamingDecoder)
    recogniser = Recogniser(engine, AsrSettings())
    await recogniser.open()
    session = await recogniser.open_session(
        SessionConfig(sample_rate_hz=RATE_HZ, language="en", limits=EndpointingLimits())
    )
    events: list[SpeechEvent] = []
    samples = with_silence(go_forward().samples)
    for start in range(0, len(samples), RATE_HZ // 10):
        events += [e async for e in session.accept(samples[start : start + RATE_HZ // 10])]
    events += [event async for event in session.finish()]
    await session.close()
    await recogniser.close()
    assert isinstance(events[0], SpeechStarted)
    partials = {event.transcript.text for event in events if isinstance(event, Partial)}
    assert partials == {"some of"}, "the length differs from result to result"
    (guess,) = [event for event in events if isinstance(event, EndGuess)]
    (final,) = [event for event in events if isinstance(event, Final)]
    assert guess.transcript.text == final.transcript.text
    assert final.transcript.text.startswith("all of ")
    assert engine.decoder.closed
