"""The engine over tiny voices in the genuine format."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from structlog.testing import capture_logs

from services.runtime.config.settings import SettingsError
from services.tts.engine import EngineUnavailableError, MeasuredEngine
from services.tts.engines.piper.engine import PiperEngine
from services.tts.engines.piper.files import voices_in
from services.tts.engines.piper.model import PiperModel
from services.tts.settings import TtsSettings
from testing.streams.tts import pitch_hz
from tests.unit.tts.speaking import utter
from tests.unit.tts_piper.tiny_piper import (
    DURATIONS,
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    description,
    frames_of,
    install,
    tiny_piper,
)

VOICE = "piper-ada"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The place of the voices in the data folder."""
    return tmp_path / "tts" / "piper"


async def opened(data_dir: Path, **options: Any) -> PiperEngine:
    engine = PiperEngine(TtsSettings(data_dir=data_dir, options=options))
    await engine.open()
    await engine.warm_up()
    return engine


async def test_a_folder_of_voices(tmp_path: Path, folder: Path) -> None:
    install(folder, "ada")
    install(folder, "bo", espeak={"voice": "de"}, language={}, audio={"sample_rate": 16_000})
    install(folder, "duo", tiny_piper(speakers=2), num_speakers=2, speaker_id_map={"x": 1, "y": 0})
    install(folder, "trio", tiny_piper(speakers=3), num_speakers=3)
    engine = await opened(tmp_path)
    voices = {voice.name: voice for voice in engine.voices()}
    assert list(voices) == ["piper-ada", "piper-bo", "piper-duo-y", "piper-duo-x", "piper-trio"]
    assert voices["piper-ada"].languages == ("en-US",)
    assert voices["piper-ada"].display_name == "ada (Piper)"
    assert voices["piper-bo"].languages == ("de",)
    assert voices["piper-bo"].sample_rate_hz == 16_000
    assert engine.describe().languages == ("de", "en-US")
    assert isinstance(engine, MeasuredEngine)
    assert engine.pace is not None
    assert engine.pace.first_clause_s > 0
    high, low = (utter(engine, f"piper-duo-{each}", "Hello, my friend.") for each in "xy")
    assert pitch_hz(high.samples, SAMPLE_RATE_HZ) > pitch_hz(low.samples, SAMPLE_RATE_HZ)
    await engine.close()


async def test_times_are_exactly_those_of_the_model(tmp_path: Path, folder: Path) -> None:
    install(folder, "ada")
    engine = await opened(tmp_path)
    spoken = utter(engine, VOICE, "Hello there.")
    assert spoken.word_texts == ["Hello", "there"]
    found = [
        (sound.ipa, (sound.end_sample - sound.start_sample) // FRAME_SAMPLES)
        for sound in spoken.phonemes
        if sound.ipa
    ]
    # the first may begin early, and to the last belongs what is heard of it
    inner = [("ə", frames_of("ə")), ("l", frames_of("l")), ("oʊ", frames_of("ˈoʊ "))]
    assert found[1:4] == inner
    slower = utter(engine, VOICE, "Hello there.", rate_percent=50)
    assert len(slower.samples) > 1.4 * len(spoken.samples)
    longest = utter(engine, VOICE, "and then we went on, " * 60)
    assert len(longest.word_texts) == 300
    higher = utter(engine, VOICE, "Hello there.", pitch_percent=150)
    ratio = pitch_hz(higher.samples, SAMPLE_RATE_HZ) / pitch_hz(spoken.samples, SAMPLE_RATE_HZ)
    assert ratio == pytest.approx(1.5, rel=0.1)
    assert len(utter(engine, VOICE, "…").samples) == 0


async def test_a_model_that_returns_its_durations_already(tmp_path: Path, folder: Path) -> None:
    model = tiny_piper()
    shape: list[str | int | None] = [1, 1, "phonemes"]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, shape)
    )
    install(folder, "ada", model)
    assert utter(await opened(tmp_path), VOICE, "Hello.").word_texts == ["Hello"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"audio": {}}, "audio.sample_rate: Field required"),
        ({"audio": {"sample_rate": 1}}, "audio.sample_rate: Input should be greater than"),
        ({"espeak": {"voice": "../../etc/passwd"}}, "espeak.voice: String should match"),
        ({"phoneme_type": "text"}, "phoneme_type: Input should be 'espeak'"),
        ({"phoneme_id_map": {"a": [1]}}, "phoneme_id_map: there is no '^'"),
        ({"language": {"code": "?"}}, "language: '?' is not a BCP-47 tag"),
        ({"num_speakers": 2, "speaker_id_map": {"x": 2}}, "an id is not below num_speakers"),
        ({"num_speakers": 2, "speaker_id_map": {"x" * 60: 1}}, "more than 64 characters"),
    ],
)
def test_what_is_no_voice_is_named_and_left_out(
    folder: Path, changes: dict[str, Any], problem: str
) -> None:
    install(folder, "ada")
    install(folder, "broken", **changes)
    with capture_logs() as logs:
        assert [each.info.name for each in voices_in(folder)] == [VOICE]
    assert problem in logs[0]["problem"]
    assert logs[0]["file"].endswith("broken.onnx.json")


def test_files_that_are_no_descriptions(folder: Path) -> None:
    install(folder, "ada")
    (folder / "alone.onnx.json").write_text("{}")
    for name, content in (("bytes", b"\xff"), ("huge", b" " * (2**20 + 1)), ("list", b"[]")):
        (folder / f"{name}.onnx").touch()
        (folder / f"{name}.onnx.json").write_bytes(content)
    with capture_logs() as logs:
        assert [each.info.name for each in voices_in(folder)] == [VOICE]
    assert len(logs) == 4
    assert voices_in(folder / "none") == []


async def test_without_voices_the_engine_is_unavailable(tmp_path: Path) -> None:
    engine = PiperEngine(TtsSettings(data_dir=tmp_path))
    with pytest.raises(EngineUnavailableError, match=r"no voices of Piper in .*piper"):
        await engine.open()
    await engine.close()


@pytest.mark.parametrize("fault", ["bytes", "no durations", "other durations"])
async def test_a_voice_that_does_not_work_leaves_the_others(
    tmp_path: Path, folder: Path, fault: str
) -> None:
    model = tiny_piper()
    if fault == "no durations":
        next(node for node in model.graph.node if node.op_type == "Ceil").op_type = "Floor"
    if fault == "other durations":
        model = tiny_piper(frame_samples=255.7)
    install(folder, "broken", model)
    if fault == "bytes":
        (folder / "broken.onnx").write_bytes(b"no model")
    engine = PiperEngine(TtsSettings(data_dir=tmp_path))
    await engine.open()
    with pytest.raises(EngineUnavailableError, match=r"no voices of Piper: the (voice|model) "):
        await engine.warm_up()
    await engine.close()
    install(folder, "sound")
    engine = await opened(tmp_path)
    assert utter(engine, "piper-sound", "Hello.").word_texts == ["Hello"]
    with pytest.raises((SettingsError, RuntimeError)):
        utter(engine, "piper-broken", "Hello.")


async def test_few_voices_are_in_memory(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = PiperModel.__init__

    def counted(model: PiperModel, path: Path, *rest: Any, **options: Any) -> None:
        loaded.append(path.stem)
        load(model, path, *rest, **options)

    monkeypatch.setattr(PiperModel, "__init__", counted)
    for name in "abc":
        install(tmp_path / "mine", name)
    engine = await opened(tmp_path, piper_voices=str(tmp_path / "mine"), piper_voices_in_memory="2")
    for name in "abacb":
        await asyncio.to_thread(utter, engine, f"piper-{name}", "Hello.")
    assert loaded == ["a", "b", "c", "b"]


def test_options_are_checked() -> None:
    with pytest.raises(SettingsError, match="ANIMA_TTS_PIPER_VOICES_IN_MEMORY"):
        PiperEngine(TtsSettings(options={"piper_voices_in_memory": "0"}))


def test_the_sound_is_loud_enough_and_not_clipped(tmp_path: Path) -> None:
    install(tmp_path, "ada")
    model = PiperModel(tmp_path / "ada.onnx", voices_in(tmp_path)[0].description, threads=1)
    spoken = model.speak("həlˈoʊ", speed=1.0, speaker=None)
    assert spoken.frames.sum() * FRAME_SAMPLES == len(spoken.samples)
    assert spoken.frames[0] == frames_of("^")
    assert 0.3 < np.abs(spoken.samples).max() <= 1
    assert description()["num_speakers"] == 1
