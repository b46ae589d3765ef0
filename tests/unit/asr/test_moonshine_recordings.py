"""The engine `moonshine` on recorded speech of real people; prints its word error rate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from services.asr.engine import DecoderConfig, Hypothesis
from services.asr.engines.moonshine import MoonshineEngine
from services.asr.events import EndGuess, Final
from services.asr.recogniser import Recogniser
from services.asr.settings import AsrSettings
from testing.speech.noise import with_noise
from testing.streams.asr import plain_words
from tests.requirements import need
from tests.speech import (
    RATE_HZ,
    all_recordings,
    go_forward,
    quiet_room,
    robot_commands,
    with_silence,
)
from tests.unit.asr.hearing import final_text, finals, hear, word_errors

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def moonshine() -> AsyncIterator[MoonshineEngine]:
    need("moonshine")
    engine = MoonshineEngine(AsrSettings.from_environment(engine="moonshine"))
    await engine.open()
    yield engine
    await engine.close()


@pytest.fixture(scope="module")
def engine(moonshine: MoonshineEngine) -> Recogniser:
    return Recogniser(moonshine, AsrSettings.from_environment(engine="moonshine"))


async def test_word_error_rate(engine: Recogniser) -> None:
    assert await word_errors(engine, all_recordings(), "moonshine") <= 0.08


async def test_a_command_is_written_with_case_and_full_stop(engine: Recogniser) -> None:
    events = await hear(engine, with_silence(go_forward().samples, before_ms=300))
    (final,) = finals(events)
    assert plain_words(final.transcript.text) == "go forward ten meters"
    assert final.transcript.text.startswith("Go ")
    assert final.transcript.text.endswith(".")
    words = final.transcript.words
    assert [plain_words(word.text) for word in words] == ["go", "forward", "ten", "meters"]
    starts = [word.start_sample / RATE_HZ for word in words]
    assert starts == sorted(starts)
    assert all(0.0 < (word.confidence or 0.0) <= 1.0 for word in words)
    assert final.transcript.confidence is not None
    assert 0.6 < final.transcript.confidence <= 1
    assert [event for event in events if isinstance(event, EndGuess)]


async def test_noise_spoils_little(engine: Recogniser) -> None:
    noisy = [
        replace(one, samples=with_noise(with_silence(one.samples), 15)) for one in robot_commands()
    ]
    assert await word_errors(engine, noisy, "moonshine, noise at -15 dB") <= 0.25


@pytest.mark.parametrize("sound", ["room", "noise", "click", "breath", "hum"])
async def test_what_is_no_speech_has_no_text(moonshine: MoonshineEngine, sound: str) -> None:
    """Also where the voice activity detection lets it pass."""
    random = np.random.default_rng(4)
    length = RATE_HZ
    sounds: dict[str, NDArray[np.float64]] = {
        "room": random.normal(0, 3, length),
        "noise": random.normal(0, 2_000, length),
        "click": np.where(np.arange(length) == 8_000, 20_000.0, 0.0) + random.normal(0, 3, length),
        "breath": random.normal(0, 600, length) * np.hanning(length),
        "hum": 3_000 * np.sin(2 * np.pi * 100 * np.arange(length) / RATE_HZ),
    }
    decoder = await moonshine.open_decoder(DecoderConfig(language="en"))
    assert await decoder.decode(sounds[sound].astype(np.int16), partial=False) == Hypothesis()


async def test_streams_at_the_same_time_share_the_model(engine: Recogniser) -> None:
    samples = with_silence(go_forward().samples, before_ms=300)
    heard = await asyncio.gather(*(hear(engine, samples) for _ in range(4)))
    texts = [plain_words(final_text(events)) for events in heard]
    assert texts == ["go forward ten meters"] * 4


async def test_a_pause_within_a_sentence_does_not_split_it(engine: Recogniser) -> None:
    samples = go_forward().samples
    middle = 20_000
    events = await hear(
        engine,
        with_silence(np.concatenate([samples[:middle], quiet_room(350), samples[middle:]])),
        end_silence_ms=1_000,
    )
    (final,) = [event for event in events if isinstance(event, Final)]
    assert plain_words(final.transcript.text) == "go forward ten meters"
    assert final.transcript.text.count(".") == 1
