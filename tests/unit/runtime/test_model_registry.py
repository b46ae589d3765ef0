"""The registry of models: built in, by packages, and by a file of the user."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from services.runtime.config.settings import SettingsError
from services.runtime.models import registry
from services.runtime.models.registry import installed_registry
from services.runtime.models.store import OWN_REGISTRY, ModelStore

VOCABULARY = b"hello\nworld\n"


@pytest.fixture
def source_folder(tmp_path: Path) -> Path:
    """A folder that contains the file of a model."""
    folder = tmp_path / "source"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "vocabulary.txt").write_bytes(VOCABULARY)
    return folder


OWN_ENTRY = """
[models.own]
description = "Somebody's own"
licence = "MIT"
source = {{ kind = "file", folder = "{folder}" }}
files = [{{ name = "{name}", sha256 = "{sha256}", size_bytes = 12 }}]
"""


def own_registry(folder: Path, name: str = "deep/vocabulary.txt") -> str:
    return OWN_ENTRY.format(folder=folder, name=name, sha256=hashlib.sha256(VOCABULARY).hexdigest())


def test_own_models_are_added_to_the_registry(tmp_path: Path, source_folder: Path) -> None:
    (tmp_path / OWN_REGISTRY).write_text(own_registry(source_folder))
    store = ModelStore(tmp_path)
    assert {"own", "minilm-l6-v2"} <= {entry.name for entry in store.list()}
    assert (store.pull("own") / "deep" / "vocabulary.txt").read_bytes() == VOCABULARY


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", ".."])
def test_registry_cannot_write_outside_the_store(tmp_path: Path, name: str) -> None:
    path = tmp_path / OWN_REGISTRY
    path.write_text(own_registry(tmp_path, name))
    with pytest.raises(SettingsError, match=r"models\.own\.files\.0\.name: .*inside its folder"):
        ModelStore(tmp_path)


def test_broken_registry_is_named(tmp_path: Path) -> None:
    (tmp_path / OWN_REGISTRY).write_text("[models")
    with pytest.raises(SettingsError, match=r"models\.toml: "):
        ModelStore(tmp_path)


def test_registry_of_the_embedded_engines_pins_every_file() -> None:
    models = installed_registry()
    assert models["minilm-l6-v2"].size_bytes == 91_335_235
    assert all(model.licence and model.description for model in models.values())


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes a package that registers models the only installed ones, with those made before."""
    entries: list[EntryPoint] = []
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, text: str) -> None:
        package = f"{name}_{tmp_path.name}"  # Python imports a package of one name once only
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "models.toml").write_text(text)
        entries.append(EntryPoint(package, package, "anima.models"))
        found = EntryPoints(entries)
        monkeypatch.setattr(registry, "entry_points", lambda group: found.select(group=group))

    return make


def test_installed_packages_register_their_models(
    register: Callable[[str, str], None], source_folder: Path
) -> None:
    register("one", own_registry(source_folder))
    register("another", own_registry(source_folder).replace("own", "other"))
    assert set(installed_registry()) == {"own", "other"}


def test_broken_package_leaves_the_models_of_the_others(
    register: Callable[[str, str], None], source_folder: Path, tmp_path: Path
) -> None:
    register("one", own_registry(source_folder))
    register("broken", "[models")
    register("missing", "")
    (tmp_path / f"missing_{tmp_path.name}" / "models.toml").unlink()
    assert set(installed_registry()) == {"own"}


def test_two_packages_cannot_register_the_same_model(
    register: Callable[[str, str], None], source_folder: Path
) -> None:
    register("one", own_registry(source_folder))
    register("another", own_registry(source_folder))
    with pytest.raises(SettingsError, match=r"models\.own: both another_\w+ and one_\w+ "):
        installed_registry()
