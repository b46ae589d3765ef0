"""Each fault of a photo has its message; faults that can be fixed are fixed."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from services.avatar.animation.parameters import FaceParameters, MouthShape
from services.avatar.engine import BgrImage
from services.avatar.photo.faults import PhotoFault
from services.avatar.photo.inspection import Inspected, _check, inspect
from services.avatar.photo.networks import FaceNetworks
from services.avatar.photo.package import PhotoPackage
from services.avatar.photo.scene import PhotoScene


def fault(picture: BgrImage, networks: FaceNetworks) -> PhotoFault:
    with pytest.raises(PhotoFault) as caught:
        inspect(picture, networks)
    assert caught.value.message.startswith("photo: ")
    return caught.value


def reasons(inspected: Inspected) -> set[str]:
    return {warning.reason for warning in inspected.warnings}


def scaled(picture: BgrImage, zoom: float) -> BgrImage:
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=way), np.uint8)


def turned_head(picture: BgrImage) -> BgrImage:
    """Squeezes the half of the face on the picture's left: the nose comes to its edge."""
    x = np.arange(512, dtype=np.float32)
    nose, edge, squeezed = 222.0, 174.0, 212.0
    source = np.interp(x, [0, squeezed, nose, 320, 511], [0, edge, nose, 290, 511])
    map_x = np.broadcast_to(source.astype(np.float32), (512, 512))
    map_y = np.broadcast_to(x[:, None], (512, 512))
    moved = cv2.remap(picture, map_x.copy(), map_y.copy(), cv2.INTER_LINEAR)
    return np.asarray(moved, np.uint8)


def test_no_face(networks: FaceNetworks, picture: BgrImage) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (300, 400, 3)).astype(np.uint8)
    for empty in (noise, np.zeros((64, 64, 3), np.uint8), picture[300:, :200].copy()):
        assert fault(empty, networks).reason == "NO_FACE"


def test_the_smallest_pictures_are_told_too(networks: FaceNetworks) -> None:
    for shape in ((1, 1, 3), (1, 500, 3), (500, 1, 3), (2, 2, 3)):
        assert fault(np.zeros(shape, np.uint8), networks).reason == "NO_FACE"


def test_several_faces(networks: FaceNetworks, picture: BgrImage) -> None:
    found = fault(np.ascontiguousarray(np.hstack([picture, picture])), networks)
    assert found.reason == "SEVERAL_FACES"
    assert "2 faces" in found.message


def test_a_face_in_the_far_background_is_no_second_face(
    networks: FaceNetworks, picture: BgrImage
) -> None:
    far = scaled(picture, 0.25)
    both = picture.copy()
    both[10:138, 380:508] = far
    inspect(both, networks)


def test_a_face_under_90_pixels(networks: FaceNetworks, picture: BgrImage) -> None:
    found = fault(scaled(picture, 0.8), networks)
    assert found.reason == "FACE_TOO_SMALL"
    assert "90 pixels" in found.message
    far = np.full((1200, 1600, 3), 200, np.uint8)
    far[500:756, 700:956] = scaled(picture, 0.5)
    assert fault(far, networks).reason == "FACE_TOO_SMALL"


def test_profile(networks: FaceNetworks, picture: BgrImage) -> None:
    found = fault(turned_head(picture), networks)
    assert found.reason == "FACE_TURNED_AWAY"


def test_a_face_at_the_edge(networks: FaceNetworks, picture: BgrImage) -> None:
    big = scaled(picture, 2)
    assert fault(big[:316].copy(), networks).reason == "FACE_CUT_OFF"


def test_a_photo_on_its_side_is_turned(networks: FaceNetworks, picture: BgrImage) -> None:
    for turns in (1, 2, 3):
        lying = np.ascontiguousarray(np.rot90(picture, turns))
        inspected = inspect(lying, networks)
        assert "TURNED" in reasons(inspected)
        assert np.array_equal(inspected.picture, picture)


def test_a_smile_is_worth_a_word(networks: FaceNetworks, picture: BgrImage) -> None:
    assert "MOUTH_OPEN" in reasons(inspect(picture, networks))


def test_a_small_face_is_worth_a_word(networks: FaceNetworks, picture: BgrImage) -> None:
    assert "LOW_RESOLUTION" in reasons(inspect(picture, networks))
    assert "LOW_RESOLUTION" not in reasons(inspect(scaled(picture, 2), networks))


def test_nothing_else_is_worth_a_word(networks: FaceNetworks, picture: BgrImage) -> None:
    assert reasons(inspect(picture, networks)) == {"MOUTH_OPEN", "LOW_RESOLUTION"}


def test_a_blurred_photo_is_worth_a_word(networks: FaceNetworks, picture: BgrImage) -> None:
    blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), 3.5), np.uint8)
    assert "BLURRED" in reasons(inspect(blurred, networks))


def test_closed_lips_are_seen_as_closed(networks: FaceNetworks, scene: PhotoScene) -> None:
    closed = scene.draw(FaceParameters(mouth=MouthShape(press=1)))
    inspected = inspect(closed, networks)
    assert inspected.geometry.gap < 0.04
    assert "MOUTH_OPEN" not in reasons(inspected)


def test_a_wide_open_mouth(package: PhotoPackage, picture: BgrImage) -> None:
    geometry = package.geometry
    lower = replace(geometry.lower_lip, v=geometry.lower_lip.v + 0.12)
    with pytest.raises(PhotoFault, match="wide open") as caught:
        _check(replace(geometry, lower_lip=lower), package.points, picture)
    assert caught.value.reason == "MOUTH_TOO_OPEN"
