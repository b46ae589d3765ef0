"""The engine `moonshine` with a random model in the format of the real one."""

from __future__ import annotations

import asyncio
import hashlib
import math
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.asr.engine import DecoderConfig, Hypothesis
from services.asr.engines.moonshine import MoonshineEngine
from services.asr.engines.moonshine.decoded import Decoded, DecodedWord
from services.asr.engines.moonshine.decoder import Job, MoonshineDecoder
from services.asr.engines.moonshine.engine import MODEL
from services.asr.engines.moonshine.long_audio import MOST_SAMPLES, pieces
from services.asr.engines.moonshine.model import (
    DECODER_FILE,
    ENCODER_FILE,
    VOCABULARY_FILE,
    MoonshineModel,
)
from services.asr.engines.moonshine.plausible import is_foreign, is_plausible
from services.asr.engines.moonshine.repetition import without_repetition
from services.asr.engines.moonshine.tokenizer import Vocabulary
from services.asr.settings import AsrSettings
from services.runtime.config.settings import SettingsError
from services.runtime.errors import FailedPrecondition
from services.runtime.models.store import ModelStore
from services.runtime.process.compute import Compute
from tests.unit.asr.tiny_moonshine import WORDS, TinyReference, make_tiny_moonshine

RATE_HZ = 16_000


def loud(seconds: float) -> NDArray[np.int16]:
    return (noise(2, seconds) * 20_000).astype(np.int16)


def noise(seed: int, seconds: float = 1.0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.3, int(seconds * RATE_HZ)).astype(np.float32)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[MoonshineModel, TinyReference]:
    folder = tmp_path_factory.mktemp("moonshine")
    reference = make_tiny_moonshine(folder)
    return MoonshineModel(folder), reference


@pytest.mark.parametrize("seed", range(8))
def test_the_ids_are_those_of_a_model_without_caches(
    tiny: tuple[MoonshineModel, TinyReference], seed: int
) -> None:
    model, reference = tiny
    samples = noise(seed)
    ids = reference.ids(np.pad(samples, 3 * RATE_HZ // 10), most=15)
    decoded = model.decode(samples, lambda: False)
    assert decoded is not None
    words = [WORDS[each].decode() for each in ids if each > 2]
    assert decoded.text == "".join(words).replace("▁", " ").strip()
    assert decoded.finished == (ids[-1] == 2)
    assert decoded.log_probability <= 0


def test_the_models_of_the_test_say_several_things(
    tiny: tuple[MoonshineModel, TinyReference],
) -> None:
    texts = {decoded.text for seed in range(8) if (decoded := tiny[0].decode(noise(seed), never))}
    assert len(texts) > 2
    assert any(len(set(text.split())) > 2 for text in texts)


def never() -> bool:
    return False


@pytest.mark.parametrize("allowed", [0, 1, 2, 5])
def test_a_decoding_that_is_stopped_has_no_result(
    tiny: tuple[MoonshineModel, TinyReference], allowed: int
) -> None:
    asked = 0

    def stopped() -> bool:
        nonlocal asked
        asked += 1
        return asked > allowed

    assert tiny[0].decode(noise(0), stopped) is None
    assert asked == allowed + 1


def vocabulary_of(tmp_path: Path, data: bytes) -> Vocabulary:
    path = tmp_path / VOCABULARY_FILE
    path.write_bytes(data)
    return Vocabulary(path)


def entry(text: bytes) -> bytes:
    if len(text) < 128:
        return bytes([len(text)]) + text
    return bytes([128 + len(text) % 128, len(text) // 128]) + text


def test_characters_are_joined_from_bytes_and_control_ids_are_left_out(tmp_path: Path) -> None:
    entries = [b"<unk>", b"<s>", b"</s>", b"\xc3", b"\xa9", "▁caf".encode(), b"", b"<<ST_7>>"]
    vocabulary = vocabulary_of(tmp_path, b"".join(map(entry, [*entries, b"x" * 300])))
    assert len(vocabulary) == 9
    assert vocabulary.text([1, 5, 3, 4, 6, 7, 2]) == "café"
    assert vocabulary.text([5, 3]) == "caf"
    assert vocabulary.text([8]) == "x" * 300
    assert vocabulary.text([]) == ""


@pytest.mark.parametrize("data", [b"", b"\x05ab", b"\x01a\x01b\x01c\x80", b"\x01a"])
def test_another_vocabulary_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        vocabulary_of(tmp_path, data)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("No, no, no.", "No, no, no."),
        ("Go on. Go on.", "Go on. Go on."),
        ("It was the best of times, it was the worst of times,",) * 2,
        ("It was his first sorrow. It was his first sorrow. It", "It was his first sorrow. It"),
        ("So it was his life. it was his life, it was his life.", "So it was his life."),
        ("the the the the the the end", "the the the the end"),
        ("and so and so and so and so and so on", "and so and so and so and so on"),
    ],
)
def test_a_phrase_that_follows_itself_is_kept_once(text: str, kept: str) -> None:
    words = text.split()
    assert [words[index] for index in without_repetition(words)] == kept.split()


@pytest.mark.parametrize("seconds", [0.0, 1.0, 16.0, 17.0, 40.0, 120.0])
def test_long_audio_is_split_without_loss(seconds: float) -> None:
    samples = (noise(1, seconds) * 32767).astype(np.int16)
    split = pieces(samples)
    assert np.array_equal(np.concatenate(split), samples)
    assert all(len(piece) <= MOST_SAMPLES for piece in split)
    assert all(len(piece) >= 10 * RATE_HZ for piece in split[:-1])


def test_long_audio_is_split_in_its_pauses_and_later_audio_moves_none() -> None:
    samples = (noise(1, 40) * 10_000).astype(np.int16)
    pause = slice(12 * RATE_HZ, 12 * RATE_HZ + RATE_HZ // 5)
    samples[pause] //= 100
    first, *others = pieces(samples)
    assert pause.start < len(first) < pause.stop
    earlier = pieces(samples[: 35 * RATE_HZ])
    assert [len(piece) for piece in earlier[:-1]] == [len(first), *map(len, others)][
        : len(earlier) - 1
    ]


def said(text: str, *, probability: float = 0.8) -> Decoded:
    likely = math.log(probability)
    words = tuple(DecodedWord(text=word, log_probability=likely) for word in text.split())
    return Decoded(words=words, log_probability=likely, finished=True)


def sound(seconds: float) -> NDArray[np.int16]:
    """A sound between the audio that the service puts before it and the silence after it."""
    return np.concatenate([loud(0.25) // 100, loud(seconds), loud(0.2) // 100])


@pytest.mark.parametrize("text", ["Yes.", "Stop!", "Why?", "Go on.", "You.", "10%"])
def test_a_short_word_is_plausible(text: str) -> None:
    assert is_plausible(said(text), sound(0.3))


@pytest.mark.parametrize(
    ("decoded", "samples"),
    [
        (said(""), sound(1)),
        (said("♪♪♪"), sound(1)),
        (said("啊啊啊啊啊"), sound(1)),
        (said("You"), sound(1)),
        (said("Mm-Hmm"), sound(1)),
        (said("Thank you for watching."), sound(0.1)),
        (said("Yes.", probability=0.2), sound(0.5)),
        (said("It is."), sound(0.04)),
        (said("It is."), loud(1.0)),
        (said("It is."), loud(1.0) // 20_000),
        (said("It is."), loud(0.0)),
    ],
)
def test_what_nobody_can_have_said_is_not(decoded: Decoded, samples: NDArray[np.int16]) -> None:
    assert not is_plausible(decoded, samples)


@pytest.mark.parametrize(
    ("decoded", "samples", "foreign"),
    [
        (said("We're sanjit out juzu.", probability=0.42), sound(1.5), True),
        (said("We're sanjit out juzu.", probability=0.2), sound(1.5), True),
        (said("We are here.", probability=0.6), sound(1.5), False),
        (said("We are here.", probability=0.42), sound(0.5), False),
        (said("Seriously now.", probability=0.42), sound(1.5), False),
    ],
)
def test_unsure_text_of_long_speech_is_foreign(
    decoded: Decoded, samples: NDArray[np.int16], foreign: bool
) -> None:
    assert is_foreign(decoded, samples) is foreign


REGISTRY = """
[models.{name}]
description = "A tiny model"
licence = "MIT"
source = {{ kind = "file", folder = "{folder}" }}
"""
FILE = """
[[models.{name}.files]]
name = "{file}"
sha256 = "{sha256}"
size_bytes = {size}
"""


def installed(tmp_path: Path) -> Path:
    """A data folder with the tiny model in the place of the real one."""
    source, data = tmp_path / "source", tmp_path / "data"
    make_tiny_moonshine(source)
    text = REGISTRY.format(name=MODEL, folder=source)
    for name in (ENCODER_FILE, DECODER_FILE, VOCABULARY_FILE):
        content = (source / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        text += FILE.format(name=MODEL, file=name, sha256=digest, size=len(content))
    (data / "models").mkdir(parents=True)
    (data / "models" / "models.toml").write_text(text)
    return data


@asynccontextmanager
async def opened(data: Path) -> AsyncIterator[MoonshineEngine]:
    engine = MoonshineEngine(AsrSettings(data_dir=data))
    try:
        await engine.open()
        yield engine
    finally:
        await engine.close()


async def test_a_model_out_of_the_store_is_decoded_with_its_confidence(tmp_path: Path) -> None:
    data = installed(tmp_path)
    ModelStore(data / "models").pull(MODEL)
    samples = sound(1)
    async with opened(data) as engine:
        assert engine.describe().languages == ("en",)
        decoder = await engine.open_decoder(DecoderConfig(language="en"))
        heard = await decoder.decode(samples, partial=False)
        assert heard.text
        assert heard.confidence is not None
        assert 0 < heard.confidence <= 1
        again = await asyncio.gather(
            *(decoder.decode(samples, partial=False) for _ in range(5)),
        )
        decoder.close()
    assert again == [heard] * 5


async def test_a_model_that_is_missing_or_damaged_is_told(tmp_path: Path) -> None:
    data = installed(tmp_path)
    with pytest.raises(FailedPrecondition, match=f"anima models pull {MODEL}"):
        async with opened(data):
            pass
    folder = ModelStore(data / "models").pull(MODEL)
    broken = (folder / DECODER_FILE).read_bytes()
    (folder / DECODER_FILE).write_bytes(bytes(len(broken)))
    with pytest.raises(SettingsError, match=f"anima models pull {MODEL}"):
        async with opened(data):
            pass


class SlowModel:
    """Works on each piece until the test lets it go on, or until it is stopped."""

    def __init__(self) -> None:
        self.pieces: list[int] = []
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()

    def decode(
        self, samples: NDArray[np.float32], stopped: Callable[[], bool], hot_words: object
    ) -> Decoded | None:
        self.pieces.append(len(samples))
        self.begun.release()
        while not self.go_on.wait(0.001):
            if stopped():
                return None
        return said(f"{len(samples)} samples heard")


@pytest.fixture
async def slow() -> AsyncIterator[tuple[SlowModel, MoonshineDecoder, set[Job]]]:
    model, urgent = SlowModel(), set[Job]()
    compute = Compute(threads=1, name="test")
    decoder = MoonshineDecoder(model, compute=compute, urgent=urgent)  # type: ignore[arg-type]
    yield model, decoder, urgent
    model.go_on.set()
    compute.close()


async def test_a_partial_result_gives_way_to_a_complete_segment(
    slow: tuple[SlowModel, MoonshineDecoder, set[Job]],
) -> None:
    model, decoder, urgent = slow
    partial = asyncio.create_task(decoder.decode(sound(2), partial=True))
    await asyncio.to_thread(model.begun.acquire)
    whole = asyncio.create_task(decoder.decode(sound(3), partial=False))
    assert await partial == Hypothesis()
    await asyncio.to_thread(model.begun.acquire)
    model.go_on.set()
    assert (await whole).text == f"{len(sound(3))} samples heard"
    assert not urgent


async def test_a_cancelled_decoding_frees_its_thread(
    slow: tuple[SlowModel, MoonshineDecoder, set[Job]],
) -> None:
    model, decoder, urgent = slow
    running = asyncio.create_task(decoder.decode(sound(2), partial=False))
    await asyncio.to_thread(model.begun.acquire)
    waiting = asyncio.create_task(decoder.decode(sound(3), partial=False))
    await asyncio.sleep(0)
    assert len(urgent) == 1
    waiting.cancel()
    running.cancel()
    await asyncio.wait([waiting, running])
    assert not urgent
    model.go_on.set()
    assert (await decoder.decode(sound(1), partial=True)).text == f"{len(sound(1))} samples heard"
    assert model.pieces == [len(sound(2)), len(sound(1))]


async def test_the_beginning_of_long_speech_is_decoded_once(
    slow: tuple[SlowModel, MoonshineDecoder, set[Job]],
) -> None:
    model, decoder, _ = slow
    model.go_on.set()
    samples = sound(40)
    await decoder.decode(samples[: 35 * RATE_HZ], partial=True)
    begun = len(model.pieces)
    await decoder.decode(samples, partial=False)
    assert begun == len(pieces(samples[: 35 * RATE_HZ])) >= 3
    assert len(model.pieces) - begun == 1
