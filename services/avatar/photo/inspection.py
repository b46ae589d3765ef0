"""Finds the single face of a photo and reports its faults."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.engine import BgrImage, CreationWarning
from services.avatar.photo.faults import PhotoFault
from services.avatar.photo.geometry import Geometry, measure
from services.avatar.photo.lips import dark_share, opened
from services.avatar.photo.networks import FaceNetworks

MIN_FACE_PX = 90
_GOOD_FACE_PX = 160
_OTHER_FACE = 0.4
"""The size from which a second face counts, relative to the width of the first."""
_MIN_PRESENCE = 0.5
_MAX_TURN, _GOOD_TURN = 0.5, 0.28
_MAX_GAP, _GOOD_GAP = 0.16, 0.04
_MAX_DARK = 0.03
"""How much dark behind the teeth may be visible: little in a smile, much with a dropped jaw."""
_SHARP = 18.0
_WORK_PX = 1600
_SURELY_UPRIGHT, _UPRIGHT_BONUS, _SURE_WHEN_TURNED = 0.8, 0.1, 0.75
_DOUBTFUL = 0.75
"""A detection is dropped if its score is below this share of the best one."""
_FAR_PARTS = 7
_MOST_FACES = 12
_RIGHT_EYE, _LEFT_EYE = 33, 263


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """A photo suitable for an avatar.

    Attributes:
        picture: The photo, upright.
        points: The mesh in its pixels, shape (468, 3).
        geometry: The measurements of the mesh.
        warnings: Changes to the photo that would improve the avatar.
    """

    picture: BgrImage
    points: NDArray[np.float32]
    geometry: Geometry
    warnings: tuple[CreationWarning, ...]


@dataclass(frozen=True, kw_only=True)
class _Face:
    score: float
    points: NDArray[np.float32]

    @property
    def width(self) -> float:
        return float(np.ptp(self.points[:, 0]))


def inspect(photo: BgrImage, networks: FaceNetworks) -> Inspected:
    """Finds the one face that can be animated.

    Raises:
        PhotoFault: There is none; the text states what to change.
    """
    picture, faces, turned = _upright(photo, networks)
    mesh = _only(faces)
    geometry = opened(picture, measure(mesh.points))
    _check(geometry, mesh.points, picture)
    warnings = _warnings(geometry, picture)
    if turned:
        warnings.insert(
            0,
            CreationWarning(reason="TURNED", message="The photo was on its side and was rotated."),
        )
    return Inspected(
        picture=picture, points=mesh.points, geometry=geometry, warnings=tuple(warnings)
    )


def _upright(photo: BgrImage, networks: FaceNetworks) -> tuple[BgrImage, list[_Face], bool]:
    """Rotates a photo that lies on its side: its EXIF data may be wrong or missing."""
    faces = _faces(photo, networks)
    if _score(faces) > _SURELY_UPRIGHT:
        return photo, faces, False
    best = (_score(faces) + _UPRIGHT_BONUS, photo, faces, False)
    for turn in (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180):
        picture = np.asarray(cv2.rotate(photo, turn), np.uint8)
        turned_faces = _faces(picture, networks)
        if _score(turned_faces) > max(best[0], _SURE_WHEN_TURNED):
            best = (_score(turned_faces), picture, turned_faces, True)
    _, picture, faces, turned = best
    if not faces:
        if _faces(photo, networks, parts=_FAR_PARTS):
            raise PhotoFault(
                "FACE_TOO_SMALL",
                "the face is very small; use a photo in which it is at least "
                f"{MIN_FACE_PX} pixels wide",
            )
        raise _no_face()
    return picture, faces, turned


def _score(faces: list[_Face]) -> float:
    return max((face.score for face in faces), default=0.0)


def _faces(picture: BgrImage, networks: FaceNetworks, *, parts: int = 3) -> list[_Face]:
    """Finds the upright faces: the detector has many false positives, the mesh fewer."""
    zoom = min(1.0, _WORK_PX / max(picture.shape[:2]))
    small = picture
    if zoom < 1:
        small = np.asarray(
            cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA), np.uint8
        )
    faces: list[_Face] = []
    for found in networks.find(small, parts=parts)[:_MOST_FACES]:
        mesh = networks.locate(small, found)
        right = mesh.points[_LEFT_EYE, :2] - mesh.points[_RIGHT_EYE, :2]
        if mesh.presence > _MIN_PRESENCE and right[0] > abs(right[1]):
            half = np.array([0.5, 0.5, 0])
            points = (mesh.points + half) / zoom - half
            face = _Face(score=found.score, points=points.astype(np.float32))
            if not any(_same(face, other) for other in faces):
                faces.append(face)
    return [face for face in faces if face.score > _DOUBTFUL * _score(faces)]


def _same(one: _Face, other: _Face) -> bool:
    apart = np.linalg.norm(one.points[:, :2].mean(axis=0) - other.points[:, :2].mean(axis=0))
    return bool(apart < 0.5 * max(one.width, other.width))


def _only(faces: list[_Face]) -> _Face:
    largest = max(faces, key=lambda face: face.width)
    count = sum(face.width >= _OTHER_FACE * largest.width for face in faces)
    if count > 1:
        raise PhotoFault(
            "SEVERAL_FACES",
            f"there are {count} faces in the photo; cut it so that only one person is in it",
        )
    return largest


def _no_face() -> PhotoFault:
    return PhotoFault(
        "NO_FACE",
        "no face was found in the photo; use one that shows a person from the front, in good light",
    )


def _check(geometry: Geometry, points: NDArray[np.float32], picture: BgrImage) -> None:
    height, width = picture.shape[:2]
    face_px = (geometry.right - geometry.left) * geometry.axes.unit
    if geometry.turn > _MAX_TURN:
        raise PhotoFault(
            "FACE_TURNED_AWAY",
            "the face is turned to the side; use a photo in which the person looks at the camera",
        )
    if face_px < MIN_FACE_PX:
        raise PhotoFault(
            "FACE_TOO_SMALL",
            f"the face is {face_px:.0f} pixels wide; use a photo in which it is at least "
            f"{MIN_FACE_PX} pixels wide",
        )
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    slack = 0.02 * face_px
    if (low < -slack).any() or high[0] > width + slack or high[1] > height + slack:
        raise PhotoFault(
            "FACE_CUT_OFF",
            "the face is cut off by the edge of the photo; use one that shows the whole face",
        )
    if geometry.gap > _MAX_GAP or geometry.gap * dark_share(picture, geometry) > _MAX_DARK:
        raise PhotoFault(
            "MOUTH_TOO_OPEN",
            "the mouth is wide open; use a photo with closed lips or a smile",
        )


def _warnings(geometry: Geometry, picture: BgrImage) -> list[CreationWarning]:
    face_px = (geometry.right - geometry.left) * geometry.axes.unit
    found = []
    if geometry.turn > _GOOD_TURN:
        found.append(
            ("HEAD_TURNED", "The head is turned a little; a photo from the front is best.")
        )
    if geometry.gap > _GOOD_GAP:
        found.append(
            (
                "MOUTH_OPEN",
                "The mouth is slightly open and will stay so in silence; a photo with closed lips "
                "is best.",
            )
        )
    if face_px < _GOOD_FACE_PX:
        found.append(
            (
                "LOW_RESOLUTION",
                f"The face is only {face_px:.0f} pixels wide; {_GOOD_FACE_PX} or more look better.",
            )
        )
    if _sharpness(geometry, picture) < _SHARP:
        found.append(("BLURRED", "The photo is blurred; a sharp one looks better."))
    return [CreationWarning(reason=reason, message=message) for reason, message in found]


def _sharpness(geometry: Geometry, picture: BgrImage) -> float:
    """Returns the variance of the Laplacian of the face, scaled to 160 pixels of height."""
    centre = geometry.axes.to_pixels(geometry.centre)
    zoom = 160 / geometry.axes.unit
    matrix = np.array(
        [[zoom, 0, 80 - zoom * centre[0]], [0, zoom, 80 - zoom * centre[1]]], np.float64
    )
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    if zoom < 1:
        grey = cv2.GaussianBlur(grey, (0, 0), 0.4 / zoom)
    face = cv2.warpAffine(grey, matrix, (160, 160))
    return float(cv2.Laplacian(face, cv2.CV_64F).var())
