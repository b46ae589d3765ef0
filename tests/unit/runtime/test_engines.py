"""Engines are found by the name of their entry point."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from services.runtime import engines
from services.runtime.config.settings import ServiceSettings, SettingsError
from services.runtime.engine_options import EngineOptions, JsonObject, Texts
from services.runtime.engines import engine_names, engine_option_names, load_engine

OWN = EntryPoints(
    [
        EntryPoint("tone", f"{__name__}:ToneEngine", "anima.tts.engines"),
        EntryPoint("broken", "nowhere.at_all:Engine", "anima.tts.engines"),
        EntryPoint("noise", f"{__name__}:NoiseEngine", "anima.tts.engines"),
    ]
)


class TtsLikeSettings(ServiceSettings):
    stage: ClassVar[str] = "tts"


class ToneOptions(EngineOptions):
    frequency_hz: int = Field(default=440, ge=20, le=20_000)
    partials: Texts = ()
    envelope: JsonObject = Field(default={})


class ToneEngine:
    """An engine that keeps its settings."""

    options_type: ClassVar = ToneOptions

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.options = ToneOptions.read(settings)


class NoiseOptions(EngineOptions):
    colour: str = "white"


class NoiseEngine:
    """Another engine of the same stage, with other options."""

    options_type: ClassVar = NoiseOptions

    def __init__(self, settings: ServiceSettings) -> None:
        del settings


@pytest.fixture(autouse=True)
def _own_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "entry_points", lambda group: OWN.select(group=group))


def test_engine_is_made_with_the_settings() -> None:
    settings = ServiceSettings(data_dir=Path("/data"))
    engine = load_engine("tts", "tone", settings)
    assert isinstance(engine, ToneEngine)
    assert engine.settings is settings


def test_unknown_engine_lists_the_known() -> None:
    assert engine_names("tts") == ["broken", "noise", "tone"]
    with pytest.raises(
        SettingsError,
        match="ANIMA_TTS_ENGINE: unknown engine 'tune'; known: broken, noise, tone",
    ):
        load_engine("tts", "tune", ServiceSettings())
    with pytest.raises(SettingsError, match="known: none"):
        load_engine("asr", "tune", ServiceSettings())


def test_engine_whose_package_is_missing() -> None:
    with pytest.raises(
        SettingsError, match="'broken' cannot be imported: No module named 'nowhere"
    ):
        load_engine("tts", "broken", ServiceSettings())


def settings_with(**variables: str) -> TtsLikeSettings:
    return TtsLikeSettings.from_environment(
        {f"ANIMA_TTS_{name.upper()}": value for name, value in variables.items()},
        listen="127.0.0.1:0",
    )


def test_options_are_typed_and_read_from_the_variables_of_the_stage() -> None:
    settings = settings_with(frequency_hz="880", partials="2|3", envelope='{"attack_ms": 5}')
    engine = load_engine("tts", "tone", settings)
    assert engine.options == ToneOptions(
        frequency_hz=880, partials=("2", "3"), envelope={"attack_ms": 5}
    )


@pytest.mark.parametrize(
    ("name", "value"), [("frequency_hz", "high"), ("frequency_hz", "5"), ("envelope", "{")]
)
def test_a_wrong_option_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"ANIMA_TTS_{name.upper()}: "):
        load_engine("tts", "tone", settings_with(**{name: value}))


def test_the_options_of_another_engine_of_the_stage_are_ignored() -> None:
    load_engine("tts", "tone", settings_with(colour="pink"))


def test_names_of_options_come_from_every_engine_that_can_be_imported() -> None:
    assert engine_option_names("tts") == {"frequency_hz", "partials", "envelope", "colour"}
    assert engine_option_names("asr") == set()


@pytest.mark.parametrize("stage", ["asr", "llm", "tts", "avatar"])
def test_option_names_are_read_without_heavy_libraries(stage: str) -> None:
    heavy = ("torch", "transformers", "vllm", "faiss", "mediapipe")
    code = (
        "import sys; from services.runtime.engines import engine_option_names; "
        f"engine_option_names({stage!r}); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert answer.stdout.strip() == "[]"
