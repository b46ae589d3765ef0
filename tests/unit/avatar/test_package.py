import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import structlog

from services.avatar.engines.painted import PaintedFaces
from services.avatar.painted.package import AvatarPackage, load_package
from services.avatar.settings import AvatarSettings
from services.runtime.config.settings import SettingsError
from services.runtime.engines import load_engine


@pytest.fixture
def copy(package_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(package_folder, tmp_path / "someone" / "avatar"))


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "avatar.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_default_avatar_loads_and_says_whose_it_is(package: AvatarPackage) -> None:
    assert package.manifest.name == "anima"
    assert package.manifest.licence == "Apache-2.0"
    assert "nobody" in package.manifest.consent


def test_the_version_changes_with_any_file_and_with_nothing_else(
    package: AvatarPackage, copy: Path
) -> None:
    assert load_package(copy).version == package.version
    seen = {package.version}
    for path in sorted(copy.iterdir()):
        if path.suffix == ".png":
            path.write_bytes(path.read_bytes() + b"\0")
        else:
            path.write_text(path.read_text() + "\n")
        seen.add(load_package(copy).version)
    assert len(seen) == 1 + len(list(copy.iterdir()))
    (copy / "notes.txt").write_text("not read")
    assert load_package(copy).version in seen


@pytest.mark.parametrize("name", ["head.png", "iris.png", "background.png"])
def test_a_missing_picture_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(SettingsError, match=f"{name}: cannot be read"):
        load_package(copy)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 60])
def test_a_damaged_picture_is_named(copy: Path, content: bytes) -> None:
    (copy / "body.png").write_bytes(content)
    with pytest.raises(SettingsError, match=r"body.png: cannot be decoded as a picture"):
        load_package(copy)


def test_a_picture_of_the_wrong_shape_is_named(copy: Path) -> None:
    cv2.imwrite(str(copy / "head.png"), np.zeros((100, 300, 4), np.uint8))
    with pytest.raises(
        SettingsError, match=r"head.png: must have the proportions .*got 300 x 100 pixels"
    ):
        load_package(copy)


def test_a_grey_picture_is_refused(copy: Path) -> None:
    cv2.imwrite(str(copy / "head.png"), np.zeros((512, 512), np.uint8))
    with pytest.raises(SettingsError, match=r"head.png: must be RGB or RGBA"):
        load_package(copy)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('name = "anima"', 'name = "An ima"', "avatar.toml: name"),
        ("[video]", "[video", "avatar.toml: is not TOML"),
        ("format = 1", "format = 2", "avatar.toml: format"),
        ("licence =", "license =", "avatar.toml: (licence|license)"),
        ("frame_rate_hz = 25", "frame_rate_hz = 0", "avatar.toml: video.frame_rate_hz"),
        ("width_px = 512", "width_px = 513", "avatar.toml: video.width_px"),
        ("half_width = 31", "half_width = nan", "avatar.toml: mouth.half_width"),
        ("left = 171", "left = 400", "avatar.toml: head"),
        ('"#bf6862"', '"red"', "avatar.toml: mouth.upper_colour"),
    ],
)
def test_a_damaged_manifest_names_the_field(copy: Path, old: str, new: str, fault: str) -> None:
    edit(copy, old, new)
    with pytest.raises(SettingsError, match=fault):
        load_package(copy)


def test_an_empty_personas_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ANIMA_PERSONAS_DIR: there is no .*avatar.toml in"):
        PaintedFaces(AvatarSettings(personas_dir=tmp_path, avatars_dir=tmp_path)).load()


def test_two_packages_of_one_name_are_refused(copy: Path, package_folder: Path) -> None:
    personas = copy.parent.parent
    shutil.copytree(package_folder, personas / "zoe" / "avatar")
    with pytest.raises(
        SettingsError, match=r"zoe/avatar/avatar.toml: name: 'anima' is already used"
    ):
        PaintedFaces(AvatarSettings(personas_dir=personas, avatars_dir=personas / "none")).load()


def test_the_default_avatar_comes_first(copy: Path, package_folder: Path) -> None:
    personas = copy.parent.parent
    shutil.copytree(package_folder, personas / "bea" / "avatar")
    edit(personas / "bea" / "avatar", 'name = "anima"', 'name = "aa"')
    engine = PaintedFaces(AvatarSettings(personas_dir=personas, avatars_dir=personas / "none"))
    engine.load()
    assert [avatar.name for avatar in engine.avatars()] == ["anima", "aa"]


def test_the_former_name_of_the_engine_still_works() -> None:
    with structlog.testing.capture_logs() as logs:
        engine = load_engine("avatar", "portrait", AvatarSettings())
    assert engine.describe().name == "painted"
    assert "ANIMA_AVATAR_ENGINE=painted" in logs[0]["event"]
