"""The two MediaPipe networks that find a face and its 468 points, run by OpenCV.

The files are `face_detection_short_range.tflite` and `face_landmark.tflite` (Apache-2.0; BlazeFace,
arXiv:1907.05047, and Face Mesh, arXiv:1907.06724). OpenCV 5.0 lists only one output of each network
as unconnected and refuses to return two at once, so each output is requested by name; they agree
with LiteRT within 0.0002.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.engine import BgrImage

MODEL = "face-mesh"
POINT_COUNT = 468

_DETECTOR_SIDE = 128
_MESH_SIDE = 192
_MIN_SCORE = 0.5
_SMALLEST_PICTURE_PX = 32
_SAME_FACE_OVERLAP = 0.3
_RIGHT_EYE, _LEFT_EYE = 0, 1
"""Indexes into the detector's six points; right and left are the person's."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class FoundFace:
    """A face found by the detector, in pixels of the picture.

    Attributes:
        score: The detector's confidence, 0 to 1.
        box: left, top, right, bottom.
        points: Eyes, nose, mouth and ears, shape (6, 2).
    """

    score: float
    box: Floats
    points: Floats

    @property
    def width(self) -> float:
        """The width of the box."""
        return float(self.box[2] - self.box[0])

    @property
    def roll(self) -> float:
        """How far the head is tilted clockwise, in radians."""
        dx, dy = self.points[_LEFT_EYE] - self.points[_RIGHT_EYE]
        return math.atan2(dy, dx)


@dataclass(frozen=True, kw_only=True)
class FaceMesh:
    """The points of a face.

    Attributes:
        points: x, y in pixels of the picture and z in the same scale (smaller is nearer), shape
            (468, 3), in MediaPipe's numbering.
        presence: The network's confidence that this is a face, 0 to 1.
    """

    points: Floats
    presence: float


class FaceNetworks:
    """Both networks, loaded. Must be used by one thread at a time.

    Args:
        folder: The folder in which the model store keeps the files.
    """

    def __init__(self, folder: Path) -> None:
        self._detector = cv2.dnn.readNetFromTFLite(
            str(folder / "face_detection_short_range.tflite")
        )
        self._mesh = cv2.dnn.readNetFromTFLite(str(folder / "face_landmark.tflite"))
        self._anchors = _anchors()

    def find(self, picture: BgrImage, *, parts: int = 3) -> list[FoundFace]:
        """Returns all faces, ordered by descending score.

        The network sees 128 x 128 pixels, in which a distant face is lost; therefore overlapping
        parts of the picture are also searched.

        Args:
            picture: The picture.
            parts: The number of parts across and down: 3 are half its size, 7 a quarter.
        """
        height, width = picture.shape[:2]
        if min(height, width) < _SMALLEST_PICTURE_PX:
            return []
        found = self._find_in(picture, 0, 0)
        share = parts + 1
        for row in range(parts):
            for column in range(parts):
                top, left = row * height // share, column * width // share
                part = picture[top : top + 2 * height // share, left : left + 2 * width // share]
                found += [
                    face
                    for face in self._find_in(part, left, top)
                    if not _touches_cut(face, part, left, top, picture)
                ]
        # detections at several sizes are one face; its best detection has the right size
        return _merged(found, mean=False)

    def locate(self, picture: BgrImage, face: FoundFace) -> FaceMesh:
        """Returns the points of a face.

        They are located in the detector's box, then once more in the box of the points found, as
        MediaPipe does from frame to frame of a video.
        """
        centre = (face.box[:2] + face.box[2:]) / 2
        side = float(np.max(face.box[2:] - face.box[:2]))
        mesh = self._locate_in(picture, centre, 1.5 * side, face.roll)
        low, high = mesh.points[:, :2].min(axis=0), mesh.points[:, :2].max(axis=0)
        eyes = mesh.points[263, :2] - mesh.points[33, :2]
        roll = math.atan2(eyes[1], eyes[0])
        return self._locate_in(picture, (low + high) / 2, 1.5 * float(np.max(high - low)), roll)

    def _find_in(self, picture: BgrImage, left: int, top: int) -> list[FoundFace]:
        height, width = picture.shape[:2]
        side = max(height, width)
        zoom = _DETECTOR_SIDE / side
        size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
        way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
        square = np.zeros((_DETECTOR_SIDE, _DETECTOR_SIDE, 3), np.uint8)
        square[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=way)
        blob = cv2.dnn.blobFromImage(square, 1 / 127.5, mean=(127.5,) * 3, swapRB=True)
        raw = _forward(self._detector, blob, "regressors").reshape(-1, 8, 2)
        scores = _sigmoid(_forward(self._detector, blob, "classificators").ravel())
        faces = []
        for index in np.flatnonzero(scores >= _MIN_SCORE):
            place = raw[index] / _DETECTOR_SIDE
            centre, size_, points = place[0], place[1], place[2:]
            corners = np.concatenate([centre - size_ / 2, centre + size_ / 2])
            corners += np.tile(self._anchors[index], 2)
            offset = np.array([left, top], np.float32)
            faces.append(
                FoundFace(
                    score=float(scores[index]),
                    box=(corners * side + np.tile(offset, 2)).astype(np.float32),
                    points=((points + self._anchors[index]) * side + offset).astype(np.float32),
                )
            )
        return _merged(faces, mean=True)

    def _locate_in(
        self, picture: BgrImage, centre: NDArray[np.floating], side: float, roll: float
    ) -> FaceMesh:
        zoom = side / _MESH_SIDE
        cos, sin = math.cos(roll) * zoom, math.sin(roll) * zoom
        half = (_MESH_SIDE - 1) / 2
        # maps the network's square input to the picture
        matrix = np.array(
            [
                [cos, -sin, centre[0] - half * (cos - sin)],
                [sin, cos, centre[1] - half * (sin + cos)],
            ]
        )
        smooth = picture
        if zoom > 1.5:
            smooth = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.4 * zoom), np.uint8)
        square = cv2.warpAffine(
            smooth,
            matrix,
            (_MESH_SIDE, _MESH_SIDE),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        blob = cv2.dnn.blobFromImage(square, 1 / 255, swapRB=True)
        raw = _forward(self._mesh, blob, "conv2d_21").reshape(POINT_COUNT, 3)
        presence = float(_sigmoid(_forward(self._mesh, blob, "conv2d_31").ravel())[0])
        flat = raw[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        points = np.concatenate([flat, raw[:, 2:] * zoom], axis=1)
        return FaceMesh(points=points.astype(np.float32), presence=presence)


def _forward(net: cv2.dnn.Net, blob: NDArray[np.generic], output: str) -> Floats:
    net.setInput(np.asarray(blob, np.float32))
    return np.asarray(net.forward(output), np.float32).copy()


def _anchors() -> Floats:
    """Returns the centres of the 896 rows of the detector, 0 to 1, shape (896, 2)."""
    rows = []
    for cells, each in ((16, 2), (8, 6)):
        y, x = np.mgrid[0:cells, 0:cells]
        centres = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / cells
        rows.append(np.repeat(centres, each, axis=0))
    return np.concatenate(rows).astype(np.float32)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))), np.float32)


def _merged(faces: list[FoundFace], *, mean: bool) -> list[FoundFace]:
    """Merges overlapping faces: to their mean, weighted by score, or to the best one."""
    rest = sorted(faces, key=lambda face: -face.score)
    merged = []
    while rest:
        best = rest[0]
        same = [face for face in rest if _overlap(best.box, face.box) > _SAME_FACE_OVERLAP]
        rest = [face for face in rest[1:] if not any(face is other for other in same)]
        if not mean:
            merged.append(best)
            continue
        weights = np.array([face.score for face in same], np.float32)
        weights /= weights.sum()
        merged.append(
            FoundFace(
                score=best.score,
                box=np.einsum("i,ij->j", weights, np.stack([face.box for face in same])),
                points=np.einsum("i,ijk->jk", weights, np.stack([face.points for face in same])),
            )
        )
    return merged


def _overlap(one: Floats, other: Floats) -> float:
    """Returns the shared area relative to the smaller box: a part of a face counts as that face."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    smaller = min(float(np.prod(one[2:] - one[:2])), float(np.prod(other[2:] - other[:2])))
    return shared / max(smaller, 1e-6)


def _touches_cut(face: FoundFace, part: BgrImage, left: int, top: int, whole: BgrImage) -> bool:
    """Returns whether a face is cut by an edge of the part only; another part shows it whole."""
    height, width = whole.shape[:2]
    right, bottom = left + part.shape[1], top + part.shape[0]
    x0, y0, x1, y1 = face.box
    return bool(
        (left > 0 and x0 < left)
        or (top > 0 and y0 < top)
        or (right < width and x1 > right)
        or (bottom < height and y1 > bottom)
    )
