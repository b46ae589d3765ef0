"""The recogniser where the settings name none."""

from __future__ import annotations

from pathlib import Path

from services.asr.choosing.choice import choose_engine, needs_model
from services.asr.settings import AsrSettings
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelStore
from tests.requirements import need


def test_without_its_model_the_better_engine_is_not_chosen(tmp_path: Path) -> None:
    choice = choose_engine(AsrSettings(data_dir=tmp_path))
    assert choice.engine == "pocketsphinx"
    assert not choice.is_best
    assert "anima models pull moonshine-tiny-en" in choice.reason


def test_with_its_model_it_is(tmp_path: Path) -> None:
    need("moonshine")
    folder = ServiceSettings.from_environment().data_dir
    choice = choose_engine(AsrSettings(data_dir=folder))
    assert (choice.engine, choice.is_best) == ("moonshine", True)
    assert (ModelStore(folder / "models").path("moonshine-tiny-en") / "LICENSE").is_file()


def test_a_named_engine_is_used_whatever_is_installed(tmp_path: Path) -> None:
    settings = AsrSettings(data_dir=tmp_path, engine="pocketsphinx")
    choice = choose_engine(settings)
    assert (choice.engine, choice.is_best) == ("pocketsphinx", True)
    assert not needs_model(settings)
