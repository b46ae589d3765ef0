"""The real model on recorded speech of real people; prints error rate and time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jiwer
import numpy as np
import pytest
from numpy.typing import NDArray

from services.asr.engine import AsrEngine, DecoderConfig, Hypothesis
from services.asr.engines.whisper.engine import WhisperEngine
from services.asr.events import EndGuess, Final, Partial, SpeechEvent
from services.asr.front_end.endpointing import EndpointingLimits
from services.asr.recogniser import Recogniser
from services.asr.session import SessionConfig
from services.asr.settings import AsrSettings
from tests.figures import report
from tests.requirements import need
from tests.speech import RATE_HZ, Recording, all_recordings, go_forward, quiet_room, with_silence

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@asynccontextmanager
async def started() -> AsyncIterator[AsrEngine]:
    need("whisper-base")
    engine = WhisperEngine(AsrSettings(capacity=8))
    try:
        await engine.open()
        yield engine
    finally:
        await engine.close()


async def decoded(
    engine: AsrEngine, samples: NDArray[np.int16], *candidates: str, language: str = "en"
) -> Hypothesis:
    decoder = await engine.open_decoder(DecoderConfig(language=language, candidates=candidates))
    try:
        return await decoder.decode(samples, partial=False)
    finally:
        decoder.close()


def plain(text: str) -> str:
    """The words as the transcripts of the recordings have them."""
    words = "".join(c if c.isalnum() or c in " '" else " " for c in text.lower())
    return " ".join(words.split()).replace("mister", "mr").replace("10", "ten")


async def test_word_error_rate_and_time() -> None:
    recordings = [with_margins(one) for one in all_recordings()]
    async with started() as engine:
        started_s, cpu_s = time.perf_counter(), time.process_time()
        heard = [(await decoded(engine, one.samples)).text for one in recordings]
        took_s = time.perf_counter() - started_s
        used_s = time.process_time() - cpu_s
    expected = [plain(one.text) for one in recordings]
    rate = float(jiwer.wer(expected, [plain(text) for text in heard]))
    spoken_s = sum(len(one.samples) for one in recordings) / RATE_HZ
    words = sum(len(text.split()) for text in expected)
    report(f"word error rate, whisper-base: {100 * rate:.1f} % of {words} words")
    report(
        f"whisper-base: {took_s / len(recordings):.2f} s and {used_s / len(recordings):.2f} CPU s "
        f"per utterance of {spoken_s / len(recordings):.1f} s"
    )
    assert rate <= 0.15


def with_margins(one: Recording) -> Recording:
    """A segment as the service cuts it: with the silence that ends it."""
    samples = with_silence(one.samples, before_ms=256, after_ms=200)
    return Recording(name=one.name, text=one.text, samples=samples)


async def test_words_stand_where_they_are_spoken() -> None:
    recording = go_forward()
    loud = np.flatnonzero(np.abs(recording.samples) > 1_000)
    async with started() as engine:
        words = (await decoded(engine, with_silence(recording.samples, after_ms=200))).words
    assert [plain(word.text) for word in words] == ["go", "forward", "ten", "meters"]
    # Whisper counts the silence before the first word to that word.
    assert words[0].start_sample <= loud[0] < words[0].start_sample + words[0].sample_count
    last = words[-1].start_sample + words[-1].sample_count
    assert abs(last - loud[-1]) < RATE_HZ // 4
    assert all(word.confidence and 0.2 < word.confidence <= 1.0 for word in words)


@pytest.mark.parametrize("sound", ["silence", "room", "noise", "hum"])
async def test_sounds_without_speech_are_not_heard(sound: str) -> None:
    length = 2 * RATE_HZ
    hum = 3_000 * np.sin(2 * np.pi * 100 * np.arange(length) / RATE_HZ)
    samples = {
        "silence": np.zeros(length, np.int16),
        "room": quiet_room(2_000),
        "noise": np.random.default_rng(2).normal(0, 2_000, length).astype(np.int16),
        "hum": hum.astype(np.int16),
    }[sound]
    async with started() as engine:
        assert (await decoded(engine, samples)).text == ""


async def test_english_is_detected_and_decoded() -> None:
    recordings = [with_margins(one) for one in all_recordings()]
    async with started() as engine:
        found = [(await decoded(engine, one.samples, "zh", "en")).language for one in recordings]
    report(f"English detected among Chinese and English: {found.count('en')} of {len(found)}")
    assert found.count("en") >= len(found) - 1


async def test_streams_together_hear_what_they_hear_alone() -> None:
    recordings = [with_margins(one).samples for one in all_recordings()][:6]
    async with started() as engine:
        alone = [(await decoded(engine, samples)).text for samples in recordings]
        started_s = time.perf_counter()
        together = await asyncio.gather(*(decoded(engine, samples) for samples in recordings))
        report(f"whisper-base, 6 segments together: {time.perf_counter() - started_s:.2f} s")
    errors = jiwer.wer([plain(text) for text in alone], [plain(each.text) for each in together])
    assert errors <= 0.05


async def test_a_stream_has_partial_guessed_and_final_texts() -> None:
    need("whisper-base")
    settings = AsrSettings()
    recogniser = Recogniser(WhisperEngine(settings), settings)
    await recogniser.open()
    session = await recogniser.open_session(
        SessionConfig(sample_rate_hz=RATE_HZ, language="en", limits=EndpointingLimits())
    )
    samples = with_silence(go_forward().samples, before_ms=300)
    events: list[SpeechEvent] = []
    for start in range(0, len(samples), RATE_HZ // 10):
        events += [e async for e in session.accept(samples[start : start + RATE_HZ // 10])]
    events += [event async for event in session.finish()]
    await session.close()
    await recogniser.close()
    final = next(event.transcript for event in events if isinstance(event, Final))
    assert plain(final.text) == "go forward ten meters"
    assert final.confidence is not None
    assert any(isinstance(event, EndGuess) for event in events)
    assert all(not event.transcript.words for event in events if isinstance(event, Partial))
