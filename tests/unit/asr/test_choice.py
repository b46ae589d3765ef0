"""The recogniser where the settings name none."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def with_model(data_dir: Path, name: str) -> Path:
    """Returns a data folder that has one of the models that are installed here."""
    models = ServiceSettings.from_environment().data_dir / "models"
    (data_dir / "models").mkdir(exist_ok=True)
    (data_dir / "models" / name).symlink_to(ModelStore(models).path(name))
    return data_dir


def test_with_its_model_it_is(tmp_path: Path) -> None:
    need("moonshine")
    choice = choose_engine(AsrSettings(data_dir=with_model(tmp_path, "moonshine-tiny-en")))
    assert (choice.engine, choice.is_best) == ("moonshine", True)
    assert (ModelStore(tmp_path / "models").path("moonshine-tiny-en") / "LICENSE").is_file()


def test_with_whisper_every_language_is_understood(tmp_path: Path) -> None:
    need("moonshine")
    need("whisper-base")
    settings = AsrSettings(data_dir=with_model(tmp_path, "whisper-base"))
    choice = choose_engine(settings)
    assert (choice.engine, choice.is_best) == ("auto", False)
    assert "English by pocketsphinx" in choice.reason
    assert "anima models pull moonshine-tiny-en" in choice.reason
    with_model(tmp_path, "moonshine-tiny-en")
    choice = choose_engine(settings)
    assert (choice.engine, choice.is_best) == ("auto", True)
    assert "English by moonshine" in choice.reason


def test_with_a_whisper_of_the_operator_too(tmp_path: Path) -> None:
    options = {"whisper_model": str(tmp_path)}
    choice = choose_engine(AsrSettings(data_dir=tmp_path, options=options))
    assert choice.engine == "auto"
    assert "ANIMA_ASR_WHISPER_MODEL" in choice.reason


@pytest.mark.parametrize(
    ("engine", "needs"),
    [("", True), ("auto", True), ("moonshine", True), ("whisper", False), ("pocketsphinx", False)],
)
def test_english_is_best_understood_by_a_model_that_is_missed(engine: str, needs: bool) -> None:
    assert needs_model(AsrSettings(engine=engine)) is needs


def test_a_named_engine_is_used_whatever_is_installed(tmp_path: Path) -> None:
    choice = choose_engine(AsrSettings(data_dir=tmp_path, engine="pocketsphinx"))
    assert (choice.engine, choice.is_best) == ("pocketsphinx", True)
