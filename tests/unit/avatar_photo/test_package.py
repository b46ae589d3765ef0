"""Packages of photos: written once, read completely, damaged ones reported."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.avatar.animation.parameters import FaceParameters, MouthShape
from services.avatar.engine import CreationOrder
from services.avatar.photo import fields, geometry
from services.avatar.photo.library import PhotoLibrary
from services.avatar.photo.networks import FaceNetworks
from services.avatar.photo.package import PhotoPackage, load_package, save_package
from services.avatar.photo.picture import PhotoReader
from services.avatar.photo.scene import PhotoScene
from services.runtime.config.settings import SettingsError
from services.runtime.errors import Busy, FailedPrecondition, NotFound, PermissionDenied
from services.runtime.models.store import ModelStore
from tests.requirements import ROOT
from tests.unit.avatar_photo.conftest import ORDER, make

FILES = {"avatar.toml", "portrait.png", "face.json", "fields.npz"}
OPEN = FaceParameters(mouth=MouthShape(jaw=0.7), blink=0.4)


@pytest.fixture
def folder(package: PhotoPackage, tmp_path: Path) -> Path:
    save_package(package, tmp_path)
    return tmp_path


@pytest.fixture
def library(reader: PhotoReader, store: ModelStore, tmp_path: Path) -> PhotoLibrary:
    (tmp_path / "models").symlink_to(store.path("face-mesh").parent, target_is_directory=True)
    return PhotoLibrary(tmp_path, reader)


def quiet(step: str, percent: int) -> None:
    """Progress that nobody watches."""


def test_it_says_why_it_may_be_used(folder: Path) -> None:
    text = tomllib.loads((folder / "avatar.toml").read_text("utf-8"))
    assert text["kind"] == "photo"
    assert text["consent"] == ORDER.consent
    assert text["licence"] == "LicenseRef-private"
    assert len(text["photo_sha256"]) == 64
    assert {path.name for path in folder.iterdir()} == FILES


def test_what_is_loaded_draws_what_was_made(
    reader: PhotoReader, folder: Path, scene: PhotoScene
) -> None:
    loaded = load_package(folder, reader)
    again = PhotoScene(loaded, loaded.video).draw(OPEN)
    assert np.abs(again.astype(int) - scene.draw(OPEN)).max() <= 1


def test_the_same_photo_makes_the_same_bytes(
    reader: PhotoReader,
    folder: Path,
    photo: bytes,
    networks: FaceNetworks,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    again = tmp_path_factory.mktemp("again")
    save_package(make(photo, reader, networks), again)
    for name in FILES:
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_words_of_any_kind_survive(
    reader: PhotoReader, photo: bytes, networks: FaceNetworks, tmp_path: Path
) -> None:
    consent = "She \"agreed\"\n\\ on 3 May \t 他同意了 \x7f \u2028 ''' # = [x]"
    made = make(
        photo, reader, networks, CreationOrder(name="a-b_9", consent=consent, display_name="Ä 王")
    )
    save_package(made, tmp_path)
    assert load_package(tmp_path, reader).manifest == made.manifest


def test_loading_computes_nothing(
    reader: PhotoReader, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("was computed again")

    monkeypatch.setattr(geometry, "measure", never)
    monkeypatch.setattr(fields, "make_fields", never)
    monkeypatch.setattr("cv2.dnn.readNetFromTFLite", never)
    load_package(folder, reader)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def replaced(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")

    return change


def pickled(path: Path) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["head_depth"] = np.array([{"a": 1}], dtype=object)
    np.savez(path, **arrays, allow_pickle=True)


def reshaped(path: Path) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["upper_jaw"] = arrays["upper_jaw"][:-1]
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, Path.unlink) for name in sorted(FILES)),
        *((name, cut) for name in ("face.json", "fields.npz", "avatar.toml")),
        *((name, lambda path: path.write_bytes(b"")) for name in sorted(FILES)),
        ("avatar.toml", replaced('kind = "photo"', 'kind = "layers"')),
        ("avatar.toml", replaced("consent = ", "consnet = ")),
        ("portrait.png", lambda path: path.write_bytes(b"\x89PNG\r\n")),
        ("face.json", replaced('"eyes"', '"ears"')),
        ("face.json", replaced('"unit": ', '"unit": "x", "u": ')),
        ("face.json", replaced('"columns": ', '"columns": 9')),
        ("fields.npz", pickled),
        ("fields.npz", reshaped),
    ],
)
def test_a_damaged_file_is_named(
    reader: PhotoReader, folder: Path, name: str, damage: Callable[[Path], object]
) -> None:
    damage(folder / name)
    with pytest.raises(SettingsError) as caught:
        load_package(folder, reader)
    assert str(folder / name) in str(caught.value) or name == "face.json"


def test_a_library_makes_keeps_and_deletes(
    reader: PhotoReader, library: PhotoLibrary, photo: bytes, tmp_path: Path
) -> None:
    assert library.refresh() == {}
    steps: list[int] = []
    made, warnings = library.create(photo, ORDER, lambda step, percent: steps.append(percent))
    assert steps == sorted(steps)
    assert {warning.reason for warning in warnings} == {"MOUTH_OPEN", "LOW_RESOLUTION"}
    assert library.refresh()["astronaut"] is made
    with pytest.raises(FailedPrecondition) as caught:
        library.create(photo, ORDER, quiet)
    assert caught.value.reason == "NAME_TAKEN"

    other = PhotoLibrary(tmp_path, reader)
    assert list(other.refresh()) == ["astronaut"]
    other.delete("astronaut")
    assert library.refresh() == {}
    assert list(library.folder.iterdir()) == []
    with pytest.raises(NotFound):
        library.delete("astronaut")


def test_a_damaged_avatar_is_left_out_and_can_be_deleted(
    reader: PhotoReader, library: PhotoLibrary, photo: bytes
) -> None:
    library.create(photo, ORDER, quiet)
    shutil.copytree(library.folder / "astronaut", library.folder / "elsewhere")
    cut(library.folder / "astronaut" / "fields.npz")
    fresh = PhotoLibrary(library.folder.parent, reader)
    assert fresh.refresh() == {}  # the copy has another name than its folder
    fresh.delete("astronaut")
    assert not (library.folder / "astronaut").exists()


KILLED_IN = """
import os, shutil, signal, sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from services.avatar.photo import library
from services.avatar.photo.picture import PhotoReader
from tests.unit.avatar_photo.conftest import ORDER

folder, name, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
owner = {"_sync": library, "rename": Path, "rmtree": shutil}[name]
real, calls = getattr(owner, name), 0

def killing(*arguments, **options):
    global calls
    calls += 1
    if calls == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **options)

with closing(PhotoReader()) as reader:
    photos = library.PhotoLibrary(folder, reader)
    setattr(owner, name, killing)
    if name == "rmtree":
        photos.delete("astronaut")
    else:
        photo = (folder / "photo.png").read_bytes()
        photos.create(photo, replace(ORDER, replace=True, display_name="new"), lambda *_: None)
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("killed_in", "call", "kept"),
    [("_sync", 1, True), ("rename", 1, True), ("rename", 2, True), ("rmtree", 1, False)],
    ids=["written", "before the swap", "in the swap", "in the deletion"],
)
def test_a_process_that_is_killed_leaves_no_half(
    library: PhotoLibrary,
    reader: PhotoReader,
    photo: bytes,
    killed_in: str,
    call: int,
    kept: bool,
) -> None:
    library.create(photo, ORDER, quiet)
    data_dir = library.folder.parent
    (data_dir / "photo.png").write_bytes(photo)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED_IN, str(data_dir), killed_in, str(call)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    found = PhotoLibrary(data_dir, reader).refresh()
    assert list(found) == (["astronaut"] if kept else [])
    assert [path.name for path in library.folder.iterdir()] == list(found)


def test_a_bad_photo_leaves_nothing(library: PhotoLibrary) -> None:
    with pytest.raises(Exception, match="not a picture"):
        library.create(b"GIF89a", ORDER, quiet)
    assert not library.folder.exists() or list(library.folder.iterdir()) == []


def test_no_more_than_the_limit_are_kept(
    library: PhotoLibrary, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.avatar.photo.library.MAX_AVATARS", 1)
    library.create(photo, ORDER, quiet)
    with pytest.raises(Busy) as caught:
        library.create(photo, CreationOrder(name="two", consent="x" * 10), quiet)
    assert caught.value.reason == "TOO_MANY_AVATARS"


def test_without_the_model_it_says_what_to_run(
    reader: PhotoReader, photo: bytes, tmp_path: Path
) -> None:
    with pytest.raises(FailedPrecondition, match="anima models pull face-mesh"):
        PhotoLibrary(tmp_path, reader).create(photo, ORDER, quiet)


def test_only_the_owner_and_the_installation_replace_an_avatar(
    library: PhotoLibrary, reader: PhotoReader, photo: bytes
) -> None:
    def order(owner: str) -> CreationOrder:
        return replace(ORDER, owner=owner, replace=True)

    library.create(photo, order("ada"), quiet)
    assert (
        PhotoLibrary(library.folder.parent, reader).refresh()["astronaut"].manifest.owner == "ada"
    )
    with pytest.raises(PermissionDenied) as caught:
        library.create(photo, order("bob"), quiet)
    assert caught.value.reason == "NOT_YOURS"
    library.create(photo, order("ada"), quiet)
    # The owner of a damaged one is not known.
    cut(library.folder / "astronaut" / "fields.npz")
    with pytest.raises(PermissionDenied):
        PhotoLibrary(library.folder.parent, reader).create(photo, order("ada"), quiet)
    made, _ = PhotoLibrary(library.folder.parent, reader).create(photo, order(""), quiet)
    assert made.manifest.owner == ""
