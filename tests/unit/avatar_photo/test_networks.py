"""The networks return the same values as under LiteRT, which are recorded here."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from services.avatar.engine import BgrImage
from services.avatar.photo.networks import FaceNetworks, _forward


def test_mesh_agrees_with_litert(networks: FaceNetworks, picture: BgrImage) -> None:
    square = cv2.resize(picture[20:240, 110:330], (192, 192), interpolation=cv2.INTER_AREA)
    blob = cv2.dnn.blobFromImage(square, 1 / 255, swapRB=True)
    points = _forward(networks._mesh, blob, "conv2d_21").ravel()
    litert = [98.47698, 106.26152, -8.29997, 97.95317, 97.576004, -21.249475]
    assert points[:6] == pytest.approx(litert, abs=0.01)
    assert points.sum() == pytest.approx(89127.53, abs=2)
    assert _forward(networks._mesh, blob, "conv2d_31").ravel() == pytest.approx(
        [18.901104], abs=0.01
    )


def test_detector_agrees_with_litert(networks: FaceNetworks, picture: BgrImage) -> None:
    square = cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA)
    blob = cv2.dnn.blobFromImage(square, 1 / 127.5, mean=(127.5,) * 3, swapRB=True)
    scores = _forward(networks._detector, blob, "classificators").ravel()
    boxes = _forward(networks._detector, blob, "regressors").reshape(896, 16)
    assert int(scores.argmax()) == 141
    assert scores.max() == pytest.approx(2.4778576, abs=0.01)
    assert boxes[141, :4] == pytest.approx([4.798606, -3.6510336, 23.478437, 23.478395], abs=0.01)


def test_a_face_is_found_wherever_it_is(networks: FaceNetworks, picture: BgrImage) -> None:
    (face,) = networks.find(picture)
    wide = np.full((512, 1536, 3), 128, np.uint8)
    wide[:, 900:1412] = picture
    (moved,) = networks.find(wide)
    assert moved.box == pytest.approx(face.box + np.array([900, 0, 900, 0]), abs=8)


@pytest.mark.parametrize("degrees", [-30, 25])
def test_points_turn_with_the_face(
    networks: FaceNetworks, picture: BgrImage, degrees: float
) -> None:
    upright = networks.locate(picture, networks.find(picture)[0])
    matrix = cv2.getRotationMatrix2D((224, 130), degrees, 1)
    turned_picture = np.asarray(cv2.warpAffine(picture, matrix, (512, 512)), np.uint8)
    turned = networks.locate(turned_picture, networks.find(turned_picture)[0])
    expected = upright.points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    assert np.linalg.norm(turned.points[:, :2] - expected, axis=1).mean() < 2
