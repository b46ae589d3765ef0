"""Engines are found by the name of their entry point."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from services.runtime import engines
from services.runtime.engines import engine_names, load_engine
from services.runtime.settings import ServiceSettings, SettingsError

OWN = EntryPoints(
    [
        EntryPoint("tone", f"{__name__}:ToneEngine", "anima.tts.engines"),
        EntryPoint("broken", "nowhere.at_all:Engine", "anima.tts.engines"),
    ]
)


class ToneEngine:
    """An engine that keeps its settings."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings


@pytest.fixture(autouse=True)
def _own_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "entry_points", lambda group: OWN.select(group=group))


def test_engine_is_made_with_the_settings() -> None:
    settings = ServiceSettings(data_dir=Path("/data"))
    engine = load_engine("tts", "tone", settings)
    assert isinstance(engine, ToneEngine)
    assert engine.settings is settings


def test_unknown_engine_lists_the_known() -> None:
    assert engine_names("tts") == ["broken", "tone"]
    with pytest.raises(
        SettingsError, match="ANIMA_TTS_ENGINE: no engine is called 'tune'; known: broken, tone"
    ):
        load_engine("tts", "tune", ServiceSettings())
    with pytest.raises(SettingsError, match="known: none"):
        load_engine("asr", "tune", ServiceSettings())


def test_engine_whose_package_is_missing() -> None:
    with pytest.raises(
        SettingsError, match="'broken' cannot be imported: No module named 'nowhere"
    ):
        load_engine("tts", "broken", ServiceSettings())
