"""The embedded engine on recorded speech of real people; prints its word error rate."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import jiwer
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from services.asr.endpointing import EndpointingLimits
from services.asr.engines.pocketsphinx import PocketsphinxEngine
from services.asr.events import EndGuess, Final, Partial, SpeechEvent
from services.asr.recogniser import Recogniser
from services.asr.session import SessionConfig
from services.asr.settings import AsrSettings
from services.runtime.errors import Busy, Unavailable
from tests.figures import report
from tests.speech import (
    RATE_HZ,
    Recording,
    card_commands,
    go_forward,
    quiet_room,
    read_novel,
    robot_commands,
    with_silence,
)


@asynccontextmanager
async def started(**given: object) -> AsyncIterator[Recogniser]:
    settings = AsrSettings.model_validate(given)
    recogniser = Recogniser(PocketsphinxEngine(settings), settings)
    await recogniser.open()
    try:
        yield recogniser
    finally:
        await recogniser.close()


async def hear(engine: Recogniser, samples: NDArray[np.int16]) -> list[SpeechEvent]:
    """Recognises a recording sent in messages of 100 ms."""
    session = await engine.open_session(
        SessionConfig(sample_rate_hz=RATE_HZ, language="en", limits=EndpointingLimits())
    )
    events: list[SpeechEvent] = []
    try:
        for start in range(0, len(samples), RATE_HZ // 10):
            events += [e async for e in session.accept(samples[start : start + RATE_HZ // 10])]
        events += [event async for event in session.finish()]
    finally:
        await session.close()
    return events


def finals(events: Sequence[SpeechEvent]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


def final_text(events: Sequence[SpeechEvent]) -> str:
    return " ".join(final.transcript.text for final in finals(events))


async def word_errors(
    engine: Recogniser, recordings: list[Recording], label: str
) -> tuple[float, int]:
    """Word error rate and number of words of recordings; prints it."""
    expected = [one.text.replace("mister", "mr") for one in recordings]
    heard = [
        final_text(await hear(engine, with_silence(one.samples, before_ms=300)))
        for one in recordings
    ]
    rate = float(jiwer.wer(expected, heard))
    words = sum(len(text.split()) for text in expected)
    report(f"word error rate, {label}: {100 * rate:.1f} % of {words} words")
    return rate, words


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_word_error_rate_of_live_decoding() -> None:
    async with started(final_pass="never") as engine:
        commands = [*card_commands(), *robot_commands()]
        of_commands, command_words = await word_errors(engine, commands, "short commands, live")
        of_novel, novel_words = await word_errors(engine, read_novel(), "read novel, live")
    words = command_words + novel_words
    of_all = (of_commands * command_words + of_novel * novel_words) / words
    report(f"word error rate, all recordings, live: {100 * of_all:.1f} % of {words} words")
    assert of_commands <= 0.25
    assert of_novel <= 0.40
    assert of_all <= 0.33


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_word_error_rate_with_the_second_pass() -> None:
    async with started(final_pass="always") as engine:
        commands = [*card_commands(), *robot_commands()]
        of_commands, _ = await word_errors(engine, commands, "short commands, second pass")
    assert of_commands <= 0.25


async def test_a_decoder_that_was_used_before_gives_the_same_result() -> None:
    command = with_silence(go_forward().samples)
    async with started(capacity=1, final_pass="always") as engine:
        first = finals(await hear(engine, command))
        await hear(engine, with_silence(card_commands()[0].samples))
        assert finals(await hear(engine, command)) == first


async def test_the_last_guess_is_the_result_and_says_how_sure_it_is() -> None:
    async with started(final_pass="never") as engine:
        events = await hear(engine, with_silence(go_forward().samples))
    partials = [event.transcript for event in events if isinstance(event, Partial)]
    assert all(partial.confidence is None for partial in partials)
    guess = [event.transcript for event in events if isinstance(event, EndGuess)][-1]
    final = next(event.transcript for event in events if isinstance(event, Final))
    assert guess.confidence is not None
    assert 0 < guess.confidence <= 1
    assert [word.text for word in guess.words] == guess.text.split()
    assert (guess.text, guess.confidence) == (final.text, final.confidence)


async def test_the_guess_comes_again_when_the_second_pass_has_other_words() -> None:
    command = with_silence(card_commands()[4].samples)
    limits = EndpointingLimits(end_silence_ms=120_000, max_utterance_ms=120_000)
    async with started(final_pass="never") as engine:
        live = final_text(await hear(engine, command))
    async with started(final_pass="always") as engine:
        session = await engine.open_session(
            SessionConfig(sample_rate_hz=RATE_HZ, language="en", limits=limits)
        )
        guesses: list[EndGuess] = []
        pieces = itertools.chain([command], itertools.repeat(quiet_room(64)))
        async with asyncio.timeout(90):
            while not guesses or guesses[-1].transcript.text == live:
                events = [event async for event in session.accept(next(pieces))]
                guesses += [event for event in events if isinstance(event, EndGuess)]
        (final,) = [event async for event in session.finish()]
        await session.close()
    assert isinstance(final, Final)
    assert final.transcript.text == guesses[-1].transcript.text
    assert live in [guess.transcript.text for guess in guesses]
    assert len({guess.at_sample for guess in guesses}) == 1


async def test_words_stand_where_they_are_spoken() -> None:
    recording = go_forward()
    loud = np.flatnonzero(np.abs(recording.samples) > 1_000)
    async with started(final_pass="always") as engine:
        events = await hear(engine, with_silence(recording.samples))
    words = next(event.transcript.words for event in events if isinstance(event, Final))
    assert abs(words[0].start_sample - loud[0]) < RATE_HZ // 4
    last = words[-1].start_sample + words[-1].sample_count
    assert abs(last - loud[-1]) < RATE_HZ // 4


async def test_dropped_speech_has_no_result() -> None:
    async with started() as engine:
        session = await engine.open_session(
            SessionConfig(sample_rate_hz=RATE_HZ, language="en", limits=EndpointingLimits())
        )
        speech = go_forward().samples[:24_000]
        events = [event async for event in session.accept(speech)]
        assert events
        session.drop()
        after = [event async for event in session.accept(quiet_room(1_000))]
        after += [event async for event in session.finish()]
        await session.close()
    assert after == []


async def test_no_more_streams_than_decoders() -> None:
    config = SessionConfig(sample_rate_hz=RATE_HZ, language="en", limits=EndpointingLimits())
    async with started(capacity=1) as engine:
        session = await engine.open_session(config)
        with pytest.raises(Busy, match="1 decoders"):
            await engine.open_session(config)
        await session.close()
        await (await engine.open_session(config)).close()


async def test_a_dead_decoder_fails_its_stream_and_is_replaced() -> None:
    async with started(capacity=1) as engine:
        session = await engine.open_session(
            SessionConfig(sample_rate_hz=RATE_HZ, language="en", limits=EndpointingLimits())
        )
        decoders = [p for p in psutil.Process().children() if "worker.py" in p.cmdline()[-1]]
        for decoder in decoders:
            decoder.kill()
        assert decoders
        with pytest.raises(Unavailable, match="decoder process has ended"):
            async for _ in session.accept(go_forward().samples):
                pass
        await session.close()
        assert final_text(await hear(engine, with_silence(go_forward().samples)))
