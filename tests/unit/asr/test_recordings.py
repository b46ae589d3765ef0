"""The engine `pocketsphinx` on recorded speech of real people; prints its word error rate."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import psutil
import pytest

from services.asr.engines.pocketsphinx import PocketsphinxEngine
from services.asr.events import EndGuess, Final, Partial
from services.asr.front_end.endpointing import EndpointingLimits
from services.asr.recogniser import Recogniser
from services.asr.session import SessionConfig
from services.asr.settings import AsrSettings
from services.runtime.errors import Busy, Unavailable
from tests.speech import (
    RATE_HZ,
    card_commands,
    go_forward,
    quiet_room,
    robot_commands,
    with_silence,
)
from tests.unit.asr.hearing import final_text, finals, hear, word_errors


@asynccontextmanager
async def started(**given: object) -> AsyncIterator[Recogniser]:
    settings = AsrSettings.model_validate(given)
    recogniser = Recogniser(PocketsphinxEngine(settings), settings)
    await recogniser.open()
    try:
        yield recogniser
    finally:
        await recogniser.close()


async def test_word_error_rate_of_commands() -> None:
    """Of the fallback; `make bench-asr` measures it on everything."""
    async with started(final_pass="never") as engine:
        commands = [*card_commands()[:3], *robot_commands()]
        rate = await word_errors(engine, commands, "pocketsphinx, short commands, live")
    assert rate <= 0.25


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
