"""The engine over a tiny model with the signature of the real one."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import numpy as np
import pytest

from services.runtime.config.settings import SettingsError
from services.tts.engine import EngineUnavailableError, MeasuredEngine, SpeechChunk, SpeechRequest
from services.tts.engines.kokoro.engine import KokoroEngine
from services.tts.engines.kokoro.model import FRAME_SAMPLES, KokoroModel
from services.tts.engines.kokoro.reading import read
from services.tts.neural.session import Session
from services.tts.settings import TtsSettings
from tests.unit.tts.speaking import utter, voice_named
from tests.unit.tts_kokoro.conftest import loaded
from tests.unit.tts_kokoro.tiny_kokoro import (
    VOCABULARY,
    frames_of,
    install_tiny_kokoro,
    tiny_kokoro,
)

LONG = "and then we went on, " * 90


def test_the_voices_that_can_be_read_are_offered(tiny: KokoroEngine) -> None:
    voices = {voice.name: voice for voice in tiny.voices()}
    assert set(voices) == {
        "kokoro-af_heart",
        "kokoro-bm_george",
        "kokoro-ff_siwis",
        "kokoro-zf_xiaoxiao",
    }
    assert tiny.voices()[0].name == "kokoro-af_heart"
    assert voices["kokoro-zf_xiaoxiao"].languages == ("zh",)
    assert voices["kokoro-bm_george"].display_name == "George, British man (Kokoro)"
    assert "Apache-2.0" in tiny.describe().licence


def test_times_are_exactly_those_of_the_model(tiny: KokoroEngine) -> None:
    spoken = utter(tiny, "kokoro-af_heart", "Hello, my friend.")
    known = "".join(
        symbol
        for unit in read("Hello, my friend.", language="en-US")
        for symbol in unit.symbols
        if symbol in VOCABULARY
    )
    # two frames of silence before, four in which the first sound is heard early, three after
    assert len(spoken.samples) == (2 + 4 + sum(frames_of(known)) + 3) * FRAME_SAMPLES
    assert all(phoneme.start_sample % FRAME_SAMPLES == 0 for phoneme in spoken.phonemes)
    assert spoken.word_texts == ["Hello", "my", "friend"]
    assert spoken.phonemes[0].ipa == ""
    assert [phoneme.ipa for phoneme in spoken.phonemes[1:5]] == ["h", "ə", "l", "oʊ"]


@pytest.mark.parametrize(
    ("voice", "text", "words"),
    [
        ("kokoro-zf_xiaoxiao", "今天是2024年，你好！", ["今", "天", "是", "2024年", "你", "好"]),
        ("kokoro-zf_xiaoxiao", "我用Linux。", ["我", "用", "Linux"]),
        ("kokoro-af_heart", "Say 你好 now.", ["Say", "你", "好", "now"]),
        ("kokoro-ff_siwis", "Bonjour à tous.", ["Bonjour", "à", "tous"]),
    ],
)
def test_words_of_every_script(tiny: KokoroEngine, voice: str, text: str, words: list[str]) -> None:
    assert "".join(utter(tiny, voice, text).word_texts) == "".join(words)


def test_nothing_to_say_is_silent(tiny: KokoroEngine) -> None:
    assert len(utter(tiny, "kokoro-af_heart", "🙂 …").samples) == 0


@pytest.mark.parametrize("percent", [50, 200])
def test_rate_and_pitch(tiny: KokoroEngine, percent: int) -> None:
    text = "This is a sentence of some length."
    normal = len(utter(tiny, "kokoro-af_heart", text).samples)
    rated = len(utter(tiny, "kokoro-af_heart", text, rate_percent=percent).samples)
    higher = utter(tiny, "kokoro-af_heart", text, pitch_percent=percent)
    assert rated / normal == pytest.approx(100 / percent, rel=0.25)
    assert len(higher.samples) / normal == pytest.approx(1, rel=0.25)
    crossings = np.count_nonzero(np.diff(np.signbit(higher.samples))) / len(higher.samples)
    assert crossings == pytest.approx(0.06 / np.pi * percent / 100, rel=0.05)


def test_the_style_depends_on_the_number_of_symbols(
    tiny: KokoroEngine, tiny_data_dir: Path
) -> None:
    del tiny
    model = KokoroModel(tiny_data_dir / "models" / "voices", threads=1)

    def loudness(count: int) -> float:
        spoken = model.speak("a" * count, voice="af_heart", speed=1)
        return float(np.abs(spoken.samples).max())

    # the tiny voices have 0.1 to 0.9 by the number of symbols, and the last row for the most
    assert loudness(1) == pytest.approx(0.1 + 0.8 / 509, abs=1e-3)
    assert loudness(200) == pytest.approx(0.1 + 0.8 * 200 / 509, abs=1e-3)
    assert loudness(510) == pytest.approx(0.9, abs=1e-3)


def test_a_long_segment_comes_phrase_by_phrase(tiny: KokoroEngine) -> None:
    chunks: list[SpeechChunk] = []

    def keep(chunk: SpeechChunk) -> bool:
        chunks.append(chunk)
        return len(chunks) < 3

    request = SpeechRequest(text=LONG, voice=voice_named(tiny, "kokoro-af_heart"))
    tiny.synthesize(request, keep)
    assert len(chunks) == 3


def test_more_symbols_than_the_model_takes(tiny: KokoroEngine) -> None:
    spoken = utter(tiny, "kokoro-af_heart", " ".join("7" * 95))
    assert len(spoken.word_texts) == 95


def test_a_clause_said_again_is_not_computed_again(
    tiny_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = KokoroEngine(TtsSettings(data_dir=tiny_data_dir))
    asyncio.run(loaded(engine))
    calls: list[str] = []
    speak = KokoroModel.speak

    def counted(model: KokoroModel, symbols: str, *, voice: str, speed: float) -> object:
        calls.append(voice)
        return speak(model, symbols, voice=voice, speed=speed)

    monkeypatch.setattr(KokoroModel, "speak", counted)
    first = utter(engine, "kokoro-af_heart", "Hello there.")
    again = utter(engine, "kokoro-af_heart", "Hello there.")
    assert calls == ["af_heart"]
    assert np.array_equal(first.samples, again.samples)
    assert first.words == again.words
    utter(engine, "kokoro-bm_george", "Hello there.")
    utter(engine, "kokoro-af_heart", "Hello there.", rate_percent=110)
    utter(engine, "kokoro-af_heart", "Hello there!")
    assert len(calls) == 4
    asyncio.run(engine.close())


async def test_without_the_files_the_command_is_told(tmp_path: Path) -> None:
    engine = KokoroEngine(TtsSettings(data_dir=tmp_path))
    with pytest.raises(EngineUnavailableError, match=r"natural voices: .*anima models pull voices"):
        await engine.open()
    await engine.close()


async def test_a_broken_model_is_unavailable(tmp_path: Path) -> None:
    install_tiny_kokoro(tmp_path)
    path = tmp_path / "models" / "voices" / "kokoro.onnx"
    path.write_bytes(path.read_bytes()[::-1])
    engine = KokoroEngine(TtsSettings(data_dir=tmp_path))
    await engine.open()
    with pytest.raises(EngineUnavailableError, match="cannot be loaded"):
        await engine.warm_up()
    with pytest.raises(EngineUnavailableError, match="cannot be loaded"):
        utter(engine, "kokoro-af_heart", "One.")
    await engine.close()


async def test_voices_of_unknown_languages_only(tmp_path: Path) -> None:
    install_tiny_kokoro(tmp_path, voices=["jf_alpha"])
    with pytest.raises(EngineUnavailableError, match="there are none"):
        await KokoroEngine(TtsSettings(data_dir=tmp_path)).open()


def test_options_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMA_TTS_KOKORO_THREADS", "0")
    with pytest.raises(SettingsError, match="ANIMA_TTS_KOKORO_THREADS"):
        KokoroEngine(TtsSettings.from_environment())


def test_the_pace_is_measured(tiny: KokoroEngine) -> None:
    assert isinstance(tiny, MeasuredEngine)
    assert tiny.pace is not None
    assert tiny.pace.first_clause_s > 0
    assert tiny.pace.real_time_factor > 0


@pytest.mark.parametrize("temporary", [True, False], ids=["file", "no temporary files"])
def test_a_graph_gets_one_more_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: bool
) -> None:
    if not temporary:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_kokoro())
    inputs = {
        "tokens": np.array([[0, 6, 0]]),
        "style": np.ones((1, 256), np.float32),
        "speed": np.ones(1, np.float32),
    }
    session = Session(path, threads=1, more_output="/encoder/Clip_output_0")
    audio, frames = session.run(["audio", "/encoder/Clip_output_0"], inputs)
    assert frames.tolist() == [[14, 2, 14]]
    assert audio.size == 30 * FRAME_SAMPLES
    with pytest.raises(Exception, match="Invalid output name"):
        Session(path, threads=1).run(["/encoder/Clip_output_0"], inputs)


async def test_a_model_whose_durations_do_not_fit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tests.unit.tts_kokoro.tiny_kokoro.tiny_kokoro", lambda: tiny_kokoro(frame_samples=500)
    )
    install_tiny_kokoro(tmp_path)
    engine = KokoroEngine(TtsSettings(data_dir=tmp_path))
    await engine.open()
    with pytest.raises(EngineUnavailableError, match=r"not \d+ frames of 600"):
        await engine.warm_up()


async def test_a_voice_asked_for_by_name_waits_for_the_model(tiny_data_dir: Path) -> None:
    engine = KokoroEngine(TtsSettings(data_dir=tiny_data_dir))
    await engine.open()
    assert engine.voices()[0].name == "kokoro-af_heart"
    assert engine.pace is None
    speaking = asyncio.create_task(asyncio.to_thread(utter, engine, "kokoro-af_heart", "Hello."))
    await engine.warm_up()
    assert (await speaking).word_texts == ["Hello"]
    await engine.close()


async def test_an_engine_closed_before_it_was_loaded_keeps_nobody_waiting(
    tiny_data_dir: Path,
) -> None:
    engine = KokoroEngine(TtsSettings(data_dir=tiny_data_dir))
    await engine.open()
    speaking = asyncio.create_task(asyncio.to_thread(utter, engine, "kokoro-af_heart", "Hello."))
    await engine.close()
    with pytest.raises(EngineUnavailableError, match="closing"):
        await speaking
    await engine.warm_up()
    assert engine.pace is None
