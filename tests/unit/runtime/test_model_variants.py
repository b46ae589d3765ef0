"""Models with variants: other files that do the same."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from services.runtime.models.registry import Model
from services.runtime.models.sources import PullFailed
from services.runtime.models.store import ModelState, ModelStore

HEAD, TAIL, OTHER = b"head" * 500_000, b"tail" * 400_000, b"other" * 9


def entry(name: str, content: bytes, **how: Any) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"name": name, "sha256": digest, "size_bytes": len(content), **how}


def folder_of(path: Path, **contents: bytes) -> dict[str, Any]:
    """Returns a source: a folder with these files."""
    path.mkdir()
    for name, content in contents.items():
        (path / name).write_bytes(content)
    return {"kind": "file", "folder": str(path)}


def a_store(tmp_path: Path, **fields: Any) -> ModelStore:
    model = Model.model_validate({"description": "d", "licence": "MIT", **fields})
    return ModelStore(tmp_path / "models", registry={"tiny": model})


def test_variant_is_pulled_whole_where_the_model_lacks_a_file(tmp_path: Path) -> None:
    gone = folder_of(tmp_path / "gone", one=HEAD)
    spare = folder_of(tmp_path / "spare", other=OTHER)
    store = a_store(
        tmp_path,
        source=gone,
        files=[entry("one", HEAD), entry("model.bin", TAIL)],
        variants=[{"source": spare, "files": [entry("model.bin", OTHER, path="other")]}],
    )
    steps: list[tuple[int, int | None, str]] = []
    folder = store.pull("tiny", lambda done, total, step: steps.append((done, total, step)))
    assert {path.name for path in folder.iterdir()} == {"model.bin", "anima-model.json"}
    assert steps[-1] == (len(OTHER), len(OTHER), "model.bin")
    assert store.list()[0].state is ModelState.PRESENT
    assert store.pull("tiny") == folder
    (folder / "model.bin").write_bytes(OTHER[::-1])
    assert store.list()[0].detail == "model.bin has another sha256"


def test_model_that_is_nowhere_says_what_each_place_lacks(tmp_path: Path) -> None:
    wrong = folder_of(tmp_path / "wrong", one=TAIL)
    store = a_store(
        tmp_path,
        source=folder_of(tmp_path / "gone"),
        files=[entry("one", HEAD)],
        variants=[{"source": wrong, "files": [entry("one", HEAD)]}],
    )
    with pytest.raises(PullFailed, match=r"gone/one cannot be read.*; one: has 1600000 bytes"):
        store.pull("tiny")
    assert {path.name for path in (tmp_path / "models").iterdir()} <= {".tiny.lock"}


def test_files_of_no_variant_are_another_version(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", one=HEAD, two=TAIL)
    store = a_store(tmp_path, source=source, files=[entry("one", HEAD)])
    store.pull("tiny")
    newer = a_store(tmp_path, source=source, files=[entry("two", TAIL)])
    assert newer.list()[0].detail == "another version of the model is present"
