from pathlib import Path

import pytest

from retrieval.encoders import (
    DEFAULT_ENCODER,
    ENGLISH_ENCODER,
    installed_encoder,
    is_multilingual,
)
from services.runtime.errors import FailedPrecondition
from services.runtime.models.store import ModelStore
from tests.unit.memory.tiny_model import pull_tiny_model


def test_the_wanted_encoder_is_used_if_it_is_present(tmp_path: Path) -> None:
    folder = pull_tiny_model(tmp_path, "tiny")
    assert installed_encoder(ModelStore(tmp_path / "models"), "tiny") == ("tiny", folder)


def test_an_older_encoder_is_used_until_the_wanted_one_is_pulled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = pull_tiny_model(tmp_path, "older")
    monkeypatch.setattr(ModelStore, "instead_of", lambda _, name: "older")
    models = ModelStore(tmp_path / "models")
    assert installed_encoder(models, DEFAULT_ENCODER) == ("older", older)


def test_without_any_encoder_the_wanted_one_is_named(tmp_path: Path) -> None:
    models = ModelStore(tmp_path / "models")
    for wanted in (DEFAULT_ENCODER, ENGLISH_ENCODER):
        with pytest.raises(FailedPrecondition, match=f"anima models pull {wanted}"):
            installed_encoder(models, wanted)


def test_which_encoders_know_other_languages() -> None:
    assert is_multilingual(f"{DEFAULT_ENCODER}@0123456789abcdef")
    assert not is_multilingual(f"{ENGLISH_ENCODER}@0123456789abcdef")
    assert not is_multilingual("tiny@0123456789abcdef")
    assert not is_multilingual("")
