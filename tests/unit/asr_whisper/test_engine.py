"""The engine on a tiny model in CTranslate2's own format, which says what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.asr.engine import DecoderConfig, Hypothesis
from services.asr.engines.auto.engine import AutoEngine
from services.asr.engines.whisper.decoder import pieces_of
from services.asr.engines.whisper.engine import WhisperEngine
from services.asr.recogniser import Recogniser
from services.asr.settings import AsrSettings
from services.runtime.config.settings import SettingsError
from services.runtime.errors import Busy, FailedPrecondition
from testing.models.tiny_whisper import make_tiny_whisper

SECOND = 16_000
GO = (" go", " for", "ward", " ten", " meters", ".")
HELLO = tuple(bytes([byte]).decode("latin-1") for byte in "你們好".encode())


def a_model(folder: Path, words: Sequence[str] = GO, **how: object) -> Path:
    make_tiny_whisper(folder / "tiny", words, **how)  # type: ignore[arg-type]
    return folder / "tiny"


def settings(folder: Path, **given: object) -> AsrSettings:
    options = {name: str(given.pop(name)) for name in list(given) if name.startswith("whisper_")}
    return AsrSettings.model_validate(
        {"options": {"whisper_model": str(folder), **options}, "engine": "whisper", **given}
    )


@asynccontextmanager
async def started(folder: Path, **given: object) -> AsyncIterator[WhisperEngine]:
    engine = WhisperEngine(settings(folder, **given))
    try:
        await engine.open()
        yield engine
    finally:
        await engine.close()


def speech(seconds: float = 2.0) -> NDArray[np.int16]:
    noise = np.random.default_rng(3).normal(0, 3_000, round(seconds * SECOND))
    return noise.astype(np.int16)


async def heard(engine: WhisperEngine, *languages: str, partial: bool = False) -> Hypothesis:
    decoder = await engine.open_decoder(DecoderConfig(language="en", candidates=languages))
    try:
        return await decoder.decode(speech(), partial=partial)
    finally:
        decoder.close()


async def test_a_segment_is_heard_with_words_and_confidence(tmp_path: Path) -> None:
    async with started(a_model(tmp_path)) as engine:
        found = await heard(engine)
    assert found.text == "go forward ten meters."
    assert [word.text for word in found.words] == ["go", "forward", "ten", "meters."]
    assert all(0 < (word.confidence or 0.0) <= 1 for word in found.words)
    ends = [word.start_sample + word.sample_count for word in found.words]
    starts = [word.start_sample for word in found.words]
    assert starts == sorted(starts)
    assert all(0 <= start <= end <= 2 * SECOND for start, end in zip(starts, ends, strict=True))
    assert found.language == "en"


async def test_chinese_is_detected_and_written_in_simplified_characters(tmp_path: Path) -> None:
    async with started(a_model(tmp_path, HELLO, language="zh")) as engine:
        found = await heard(engine, "en", "zh")
        assert (found.text, found.language) == ("你们好", "zh")
        assert [word.text for word in found.words] == ["你", "们", "好"]
        # The model says Chinese, but only these two are possible.
        assert (await heard(engine, "de", "fr")).language in {"de", "fr"}
        info = engine.describe()
    assert info.languages[:2] == ("en", "zh")
    assert len(info.languages) == 99
    assert info.version.endswith("(tiny)")


async def test_what_is_no_speech_is_not_heard(tmp_path: Path) -> None:
    async with started(a_model(tmp_path, ("you",), no_speech=True)) as engine:
        found = await heard(engine)
    assert found.text in {"", "you"}


async def test_streams_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    async with started(a_model(tmp_path), capacity=6, whisper_workers=1) as engine:
        results = await asyncio.gather(*(heard(engine) for _ in range(6)))
    assert {result.text for result in results} == {"go forward ten meters."}
    assert len({result.words for result in results}) == 1


async def test_a_partial_result_has_its_language_and_no_word_times(tmp_path: Path) -> None:
    async with started(a_model(tmp_path, HELLO, language="zh")) as engine:
        found = await heard(engine, "en", "zh", partial=True)
    assert (found.text, found.language, found.words) == ("你们好", "zh", ())
    assert 0 < (found.confidence or 0.0) <= 1


async def test_a_long_recording_is_cut_where_it_is_quiet(tmp_path: Path) -> None:
    samples = speech(50.0)
    samples[25 * SECOND : 26 * SECOND] = 0
    pieces = pieces_of(samples)
    assert [len(piece) for piece, _ in pieces] == [pieces[1][1], len(samples) - pieces[1][1]]
    assert 25 * SECOND <= pieces[1][1] <= 26 * SECOND
    async with started(a_model(tmp_path)) as engine:
        decoder = await engine.open_decoder(DecoderConfig(language="en"))
        found = await decoder.decode(samples, partial=False)
        decoder.close()
    assert found.text == "go forward ten meters. go forward ten meters."
    assert found.words[4].start_sample >= pieces[1][1]


async def test_no_more_streams_than_its_capacity(tmp_path: Path) -> None:
    async with started(a_model(tmp_path), capacity=1) as engine:
        first = await engine.open_decoder(DecoderConfig(language="en"))
        with pytest.raises(Busy, match="1 decoders"):
            await engine.open_decoder(DecoderConfig(language="en"))
        first.close()
        (await engine.open_decoder(DecoderConfig(language="en"))).close()


async def test_without_the_model_the_command_is_named(tmp_path: Path) -> None:
    engine = WhisperEngine(AsrSettings.model_validate({"data_dir": tmp_path}))
    with pytest.raises(FailedPrecondition, match="anima models pull whisper-base"):
        await engine.open()
    await engine.close()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"whisper_compute_type": "int3"}, "ANIMA_ASR_WHISPER_COMPUTE_TYPE: 'int3'"),
        ({"whisper_device": "tpu"}, "ANIMA_ASR_WHISPER_DEVICE"),
        ({"whisper_threads": "0"}, "ANIMA_ASR_WHISPER_THREADS"),
    ],
)
async def test_wrong_options_are_named(
    tmp_path: Path, options: dict[str, object], named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        async with started(a_model(tmp_path), **options):
            pass


async def test_folder_without_a_model_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ANIMA_ASR_WHISPER_MODEL: .* has no model\.bin"):
        async with started(tmp_path):
            pass
    folder = a_model(tmp_path)
    (folder / "model.bin").write_bytes(b"x" * 100)
    with pytest.raises(SettingsError, match="cannot be loaded"):
        async with started(folder):
            pass


async def test_auto_without_whisper_understands_english_and_says_how_to_hear_more(
    tmp_path: Path,
) -> None:
    given = AsrSettings.model_validate({"data_dir": tmp_path, "engine": "auto", "capacity": 1})
    recogniser = Recogniser(AutoEngine(given), given)
    await recogniser.open()
    info = recogniser.describe()
    await recogniser.close()
    assert info.languages == ("en",)
    assert info.more_languages == "anima models pull whisper-base, then restart Anima"


async def test_auto_has_the_languages_of_both(tmp_path: Path) -> None:
    given = settings(a_model(tmp_path, HELLO, language="zh"), engine="auto", capacity=1)
    recogniser = Recogniser(AutoEngine(given), given)
    await recogniser.open()
    info = recogniser.describe()
    assert info.languages[:2] == ("en", "zh")
    assert len(info.languages) == 99
    assert info.more_languages == ""
    await recogniser.close()


async def test_auto_decodes_each_language_with_its_engine(tmp_path: Path) -> None:
    engine = AutoEngine(settings(a_model(tmp_path, HELLO, language="zh"), engine="auto"))
    await engine.open()
    for config in (
        DecoderConfig(language="en", candidates=("en", "zh")),
        DecoderConfig(language="zh"),
        DecoderConfig(language="zh", candidates=("zh",)),
    ):
        decoder = await engine.open_decoder(config)
        found = await decoder.decode(speech(), partial=False)
        decoder.close()
        assert (found.text, found.language) == ("你们好", "zh")
    english = await engine.open_decoder(DecoderConfig(language="en"))
    assert (await english.decode(speech(), partial=False)).text != "你们好"
    english.close()
    await engine.close()


async def test_auto_without_any_engine_for_english_says_why() -> None:
    options = {"auto_english": "no-such-engine"}
    engine = AutoEngine(AsrSettings.model_validate({"options": options}))
    with pytest.raises(FailedPrecondition, match="no-such-engine is not installed"):
        await engine.open()
    await engine.close()
