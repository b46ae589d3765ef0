"""Photos of people who do not exist: the painted avatars, in many sizes, tones and poses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from services.avatar.animation.parameters import FaceParameters, MouthShape
from services.avatar.engine import BgrImage, VideoSpec
from services.avatar.painted.package import load_package
from services.avatar.painted.scene import Scene
from services.avatar.photo.faults import PhotoFault
from services.avatar.photo.inspection import inspect
from services.avatar.photo.networks import FaceNetworks
from services.avatar.photo.picture import PhotoReader
from services.avatar.photo.scene import PhotoScene
from services.runtime.config.settings import CHECKOUT
from tests.unit.avatar_photo.conftest import make, png

ANIMA, LEO = CHECKOUT / "personas" / "anima" / "avatar", CHECKOUT / "avatars" / "leo"
REST, OPEN = FaceParameters(), FaceParameters(mouth=MouthShape(jaw=1))


def drawn(folder: Path = ANIMA, *, side: int = 800, **mouth: float) -> BgrImage:
    video = VideoSpec(width_px=side, height_px=side, frame_rate_hz=25)
    face = FaceParameters(mouth=MouthShape(**mouth))
    return Scene(load_package(folder), video).draw(face)


def grey(picture: BgrImage) -> BgrImage:
    flat = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.cvtColor(flat, cv2.COLOR_GRAY2BGR), np.uint8)


def dark(picture: BgrImage) -> BgrImage:
    light, red, blue = cv2.split(cv2.cvtColor(picture, cv2.COLOR_BGR2LAB))
    half = cv2.merge([(light // 2).astype(np.uint8), red, blue])
    return np.asarray(cv2.cvtColor(half, cv2.COLOR_LAB2BGR), np.uint8)


@pytest.mark.parametrize(
    "photo",
    [
        lambda: drawn(),
        lambda: drawn(LEO, side=1080),
        lambda: drawn(side=300),
        lambda: cv2.resize(drawn(), (4000, 4000), interpolation=cv2.INTER_CUBIC),
        lambda: grey(drawn(LEO)),
        lambda: dark(drawn(LEO)),
        lambda: cv2.rotate(drawn(), cv2.ROTATE_90_CLOCKWISE),
    ],
    ids=["anima", "leo", "small", "large", "grey", "dark", "on its side"],
)
def test_it_speaks_and_leaves_the_rest_alone(
    photo: Callable[[], BgrImage], reader: PhotoReader, networks: FaceNetworks
) -> None:
    package = make(png(photo()), reader, networks)
    scene = PhotoScene(package, package.video)
    rest, spoken = scene.draw(REST), scene.draw(OPEN)
    assert np.array_equal(rest, package.portrait)
    changed = np.abs(spoken.astype(int) - rest).max(axis=2)
    places = package.geometry.axes.to_face(np.argwhere(changed > 2)[:, ::-1].astype(float))
    assert places[:, 1].min() > package.geometry.nose_base - 0.05
    assert places[:, 1].max() < package.geometry.chin + 0.45
    found = networks.find(spoken)[0]
    lips = networks.locate(spoken, found).points[[13, 14], :2]
    assert np.linalg.norm(lips[1] - lips[0]) > 0.05 * package.geometry.axes.unit


def test_the_mouth_of_a_grey_photo_is_grey(reader: PhotoReader, networks: FaceNetworks) -> None:
    package = make(png(grey(drawn(LEO))), reader, networks)
    spoken = PhotoScene(package, package.video).draw(OPEN).astype(int)
    assert np.ptp(spoken, axis=2).max() <= 2


def test_teeth_of_a_mouth_that_is_open_a_little_do_not_stick_to_a_lip(
    reader: PhotoReader,
    networks: FaceNetworks,
) -> None:
    """The mesh sees this mouth as closed; the teeth once moved down with the lower lip."""
    package = make(png(drawn(jaw=0.35, width=0.3)), reader, networks)
    assert package.geometry.gap > 0.01
    pressed = PhotoScene(package, package.video).draw(FaceParameters(mouth=MouthShape(press=1)))
    middle = package.geometry.axes.to_pixels(
        np.stack([np.zeros(60), np.linspace(-0.03, 0.06, 60)], axis=1)
    )
    x, y = np.round(middle).astype(int).T
    lips = pressed[y, x].astype(int)
    assert ((lips[:, 2] - lips[:, 0]) < 30).sum() == 0, "something pale shows between closed lips"


def test_a_dropped_jaw_is_refused(networks: FaceNetworks) -> None:
    with pytest.raises(PhotoFault, match="wide open") as caught:
        inspect(drawn(jaw=1), networks)
    assert caught.value.reason == "MOUTH_TOO_OPEN"
