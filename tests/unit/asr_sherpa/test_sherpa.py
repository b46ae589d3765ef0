"""The engine `sherpa`: the genuine library with random models in the genuine formats."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from services.asr.engine import DecoderConfig, StreamingDecoder
from services.asr.engines.sherpa import SherpaEngine
from services.asr.engines.sherpa.folder import Kind, files_of
from services.asr.engines.sherpa.words import words_of
from services.asr.recogniser import Recogniser
from services.asr.settings import AsrSettings
from services.runtime.config.settings import SettingsError
from services.runtime.errors import Busy, Unavailable
from tests.speech import go_forward, with_silence
from tests.unit.asr.hearing import finals, hear
from tests.unit.asr_sherpa.tiny_sherpa import make_paraformer, make_sense_voice, make_zipformer

SECOND = 16_000
CONFIG = DecoderConfig(language="zh")
LIVE = [make_paraformer, make_zipformer]


def settings(folder: Path | str, **options: object) -> AsrSettings:
    given = {f"sherpa_{name}": str(value) for name, value in options.items()}
    return AsrSettings.model_validate(
        {"engine": "sherpa", "capacity": 3, "options": {"sherpa_model": str(folder), **given}}
    )


@asynccontextmanager
async def opened(folder: Path, **options: object) -> AsyncIterator[SherpaEngine]:
    engine = SherpaEngine(settings(folder, **options))
    try:
        await engine.open()
        yield engine
    finally:
        await engine.close()


def speech(seconds: float, seed: int = 1) -> NDArray[np.int16]:
    """Noise whose colour changes ten times a second."""
    random = np.random.default_rng(seed)
    pieces = []
    for _ in range(round(seconds * 10)):
        noise = random.normal(0, random.uniform(300, 6_000), SECOND // 10)
        pieces.append(np.convolve(noise, random.normal(0, 0.5, 8), "same"))
    return np.concatenate(pieces).clip(-32_768, 32_767).astype(np.int16)


async def test_sense_voice_decodes_a_segment_and_names_its_language(tmp_path: Path) -> None:
    async with opened(make_sense_voice(tmp_path)) as engine:
        info = engine.describe()
        assert info.languages == ("zh", "en", "ja", "ko", "yue")
        assert info.version.endswith("(sense_voice)")
        decoder = await engine.open_decoder(CONFIG)
        samples = speech(2.0)
        heard = await decoder.decode(samples, partial=False)
        partial = await decoder.decode(samples, partial=True)
        other = await decoder.decode(speech(2.0, seed=7), partial=False)
        decoder.close()
    assert heard.text
    assert heard.text != other.text
    assert (partial.text, partial.words, heard.language) == (heard.text, (), "zh")
    assert "".join(word.text for word in heard.words) == "".join(heard.text.split())
    ends = [word.start_sample + word.sample_count for word in heard.words]
    assert ends == sorted(ends)
    assert ends[-1] <= len(samples)


@pytest.mark.parametrize("make", LIVE)
async def test_streaming_models_follow_speech(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    samples = speech(4.0)
    async with opened(make(tmp_path), languages="en|zh") as engine:
        assert engine.describe().languages == ("en", "zh")
        decoder = await engine.open_decoder(CONFIG)
        assert isinstance(decoder, StreamingDecoder)
        texts = [
            (await decoder.feed(samples[start : start + SECOND // 10])).text
            for start in range(0, len(samples), SECOND // 10)
        ]
        ended = await decoder.end()
        assert await decoder.decode(samples, partial=False) == ended
        assert (await decoder.decode(samples[:SECOND], partial=False)).text != ended.text
        decoder.close()
    assert len(set(texts)) > 2
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))
    assert ended.text.startswith(texts[-1])


@pytest.mark.parametrize("make", LIVE)
async def test_streams_at_the_same_time_do_not_mix(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    one, other = speech(3.0), speech(3.0, seed=4)
    async with opened(make(tmp_path)) as engine:
        alone = []
        for samples in (one, other):
            decoder = await engine.open_decoder(CONFIG)
            alone.append((await decoder.decode(samples, partial=False)).text)
            decoder.close()
        decoders = [await engine.open_decoder(CONFIG) for _ in range(2)]
        for start in range(0, len(one), SECOND // 2):
            for decoder, samples in zip(decoders, (one, other), strict=True):
                assert isinstance(decoder, StreamingDecoder)
                await decoder.feed(samples[start : start + SECOND // 2])
        together = []
        for decoder in decoders:
            assert isinstance(decoder, StreamingDecoder)
            together.append((await decoder.end()).text)
            decoder.close()
    assert together == alone
    assert alone[0] != alone[1]


async def test_times_of_a_transducer_become_words(tmp_path: Path) -> None:
    async with opened(make_zipformer(tmp_path)) as engine:
        decoder = await engine.open_decoder(CONFIG)
        heard = await decoder.decode(speech(3.0), partial=False)
        decoder.close()
    assert "".join(word.text for word in heard.words) == "".join(heard.text.split())
    assert all(word.sample_count >= 0 for word in heard.words)


async def test_an_abandoned_segment_leaves_nothing_behind(tmp_path: Path) -> None:
    async with opened(make_zipformer(tmp_path)) as engine:
        decoder = await engine.open_decoder(CONFIG)
        assert isinstance(decoder, StreamingDecoder)
        expected = await decoder.decode(speech(2.0), partial=False)
        await decoder.feed(speech(1.0, seed=9))
        decoder.abandon()
        assert (await decoder.decode(speech(2.0), partial=False)).text == expected.text
        decoder.close()


async def test_the_whole_service_hears_a_recording(tmp_path: Path) -> None:
    async with opened(make_zipformer(tmp_path), languages="en") as engine:
        recogniser = Recogniser(engine, settings(tmp_path))
        events = await hear(recogniser, with_silence(go_forward().samples, before_ms=300))
    assert len(finals(events)) == 1


async def test_a_process_that_ends_is_replaced(tmp_path: Path) -> None:
    async with opened(make_sense_voice(tmp_path)) as engine:
        decoder = await engine.open_decoder(CONFIG)
        (process,) = (
            each for each in psutil.Process().children() if "sherpa" in " ".join(each.cmdline())
        )
        process.kill()
        with pytest.raises(Unavailable, match="decoder process has ended"):
            await decoder.decode(speech(1.0), partial=False)
        decoder.close()
        again = await engine.open_decoder(CONFIG)
        assert (await again.decode(speech(1.0), partial=False)).text
        again.close()


async def test_no_more_streams_than_its_capacity(tmp_path: Path) -> None:
    async with opened(make_sense_voice(tmp_path)) as engine:
        decoders = [await engine.open_decoder(CONFIG) for _ in range(3)]
        with pytest.raises(Busy, match="3 decoders"):
            await engine.open_decoder(CONFIG)
        for decoder in decoders:
            decoder.close()


async def test_a_model_with_the_wrong_metadata_is_named(tmp_path: Path) -> None:
    make_sense_voice(tmp_path, without="lfr_window_size")
    with pytest.raises(SettingsError, match="cannot be loaded as a sense_voice model"):
        async with opened(tmp_path):
            pass


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ((), "tokens.txt"),
        (("tokens.txt",), r"neither encoder\*\.onnx and decoder\*\.onnx nor model\*\.onnx"),
        (("tokens.txt", "encoder.onnx"), "neither encoder"),
    ],
)
async def test_a_folder_without_a_model_is_named(
    tmp_path: Path, files: tuple[str, ...], missing: str
) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(SettingsError, match=f"ANIMA_ASR_SHERPA_MODEL: .*{missing}"):
        async with opened(tmp_path):
            pass


def test_the_kind_is_that_of_the_files_and_quantised_ones_are_preferred(tmp_path: Path) -> None:
    for name in ("tokens.txt", "model.onnx", "model.int8.onnx"):
        (tmp_path / name).touch()
    found = files_of(tmp_path)
    assert found.kind is Kind.SENSE_VOICE
    assert found.paths["model"].endswith("model.int8.onnx")
    for name in ("encoder-epoch-99.onnx", "decoder-epoch-99.onnx"):
        (tmp_path / name).touch()
    assert files_of(tmp_path).kind is Kind.PARAFORMER
    (tmp_path / "joiner-epoch-99.onnx").touch()
    assert files_of(tmp_path).kind is Kind.TRANSDUCER


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["▁go", "▁for", "ward", "."], ["go", "forward."]),
        ([" Go", " for", "ward"], ["Go", "forward"]),
        (["大", "家", "好", "。", "▁ok"], ["大", "家", "好。", "ok"]),
        (["A", "I", "大", "家"], ["AI", "大", "家"]),
        (["▁", "go", "▁", "on"], ["go", "on"]),
        ([], []),
    ],
)
def test_tokens_are_joined_to_words(tokens: list[str], words: list[str]) -> None:
    starts = [0.2 * number for number in range(len(tokens))]
    found = words_of(tokens, starts, 2 * SECOND)
    assert [word.text for word in found] == words
    assert all(word.start_sample + word.sample_count <= 2 * SECOND for word in found)


def test_tokens_without_times_give_no_words() -> None:
    assert words_of(["大", "家"], [], SECOND) == ()
