"""A package fitted to a video size: layers that are moved and laid over each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.animation.parameters import FaceParameters, HeadPose
from services.avatar.engine import BgrImage, VideoSpec
from services.avatar.painted.eyes import EyePainter
from services.avatar.painted.mouth import MouthPainter
from services.avatar.painted.package import AvatarPackage, Head, Layer

FloatImage = NDArray[np.float32]

_PORTRAIT_CROP = 1.35
"""How much wider than a portrait picture the canvas may become."""
_TURN = 0.022
"""How far the middle of the face shifts at yaw or pitch 1, in face heights."""
_JAW_DROP = 0.030
"""How far the chin sinks at jaw 1, in face heights."""
_BROW_RISE = 0.022
_BREATH_RISE = 0.006
_GRID_STEP = 3.0
"""Distance, in canvas units, of the grid points at which head motion is computed."""


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A layer at video size: premultiplied BGRA and its top left corner in pixels."""

    pixels: NDArray[np.uint8]
    left: int
    top: int

    @property
    def box(self) -> tuple[slice, slice]:
        height, width = self.pixels.shape[:2]
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


class Scene:
    """An avatar at one size; immutable once created, so that streams share it."""

    def __init__(self, package: AvatarPackage, video: VideoSpec) -> None:
        self.video = video
        manifest = package.manifest
        canvas = manifest.canvas
        width, height = video.width_px, video.height_px
        self._scale = min(height / canvas.height, _PORTRAIT_CROP * width / canvas.width)
        self._origin = (
            (canvas.width - width / self._scale) / 2,
            canvas.height - height / self._scale,
        )
        self._background = _cover(package.layers["background"], width, height)
        fitted = {
            name: self._fit(package.layers[name], canvas.width)
            for name in ("hair_back", "body", "head", "brows", "hair_front")
        }
        head = fitted["head"]
        for name in ("brows", "hair_front"):
            head = _over(head, fitted[name])
        margin = math.ceil(0.03 * manifest.head.height * self._scale) + 2
        self._hair_back = _trim(fitted["hair_back"], margin)
        self._body = _trim(fitted["body"], margin)
        self._head = _trim(head, margin)
        origin = (
            self._origin[0] + self._head.left / self._scale,
            self._origin[1] + self._head.top / self._scale,
        )
        self._mouth = MouthPainter(manifest.mouth, scale=self._scale, origin=origin)
        self._eyes = [
            EyePainter(
                manifest.eyes,
                package.layers["iris"],
                is_left=is_left,
                scale=self._scale,
                origin=origin,
            )
            for is_left in (True, False)
        ]
        self._fields = _Fields(
            manifest.head, manifest.mouth.centre, self._head, self._scale, origin
        )
        self._face = manifest.head

    def draw(self, face: FaceParameters) -> BgrImage:
        """Draws one frame, shape (height, width, 3)."""
        picture = self._background.copy()
        unit = self._face.height * self._scale
        pose = face.head
        rise = _BREATH_RISE * unit * face.breath
        _lay(picture, self._hair_back, self._shift(pose, -0.35 * _TURN, rise))
        _lay(picture, self._body, np.array([[1, 0, 0.12 * pose.x * unit / 1000], [0, 1, -rise]]))
        head = self._head.pixels.copy()
        for eye in self._eyes:
            eye.paint(head, blink=face.blink, gaze_x=face.gaze_x, gaze_y=face.gaze_y)
        self._mouth.paint(head, face.mouth)
        map_x, map_y = self._fields.maps(face, rise)
        moved = cv2.remap(head, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        _blend(picture[self._head.box], np.asarray(moved, np.uint8))
        return picture

    def _fit(self, layer: Layer, canvas_width: float) -> NDArray[np.uint8]:
        """Returns a layer at its place in the picture, premultiplied."""
        stored = layer.shape[1] / canvas_width
        zoom = self._scale / stored
        pixels = layer.astype(np.float32)
        pixels[..., :3] *= pixels[..., 3:] / 255
        if zoom < 1:
            blur = 0.35 / zoom
            pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), blur), np.float32)
        x, y = (-self._origin[i] * self._scale for i in (0, 1))
        half = 0.5 * zoom - 0.5
        matrix = np.array([[zoom, 0, x + half], [0, zoom, y + half]])
        size = (self.video.width_px, self.video.height_px)
        fitted = cv2.warpAffine(
            pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(np.clip(fitted + 0.5, 0, 255), np.uint8)

    def _shift(self, pose: HeadPose, depth: float, rise: float) -> NDArray[np.float64]:
        """Returns the motion of the head as a matrix from source to target positions."""
        unit = self._face.height * self._scale
        angle = math.radians(pose.roll_deg)
        cos, sin = math.cos(angle), math.sin(angle)
        px = (self._face.pivot[0] - self._origin[0]) * self._scale - self._hair_back.left
        py = (self._face.pivot[1] - self._origin[1]) * self._scale - self._hair_back.top
        dx = unit * (pose.x / 1000 + depth * pose.yaw)
        dy = unit * (pose.y / 1000 + depth * pose.pitch) - rise
        return np.array(
            [[cos, -sin, px - cos * px + sin * py + dx], [sin, cos, py - sin * px - cos * py + dy]]
        )


class _Fields:
    """The source position of each pixel of the head.

    The head turns as a whole about the pivot. The face also has depth: its middle moves further
    than its rim when the head turns, the chin follows the jaw, the brows rise.
    """

    def __init__(
        self,
        head: Head,
        mouth: tuple[float, float],
        sheet: _Sheet,
        scale: float,
        origin: tuple[float, float],
    ) -> None:
        height, width = sheet.pixels.shape[:2]
        self._size = (width, height)
        self._unit = head.height * scale
        self._pivot = ((head.pivot[0] - origin[0]) * scale, (head.pivot[1] - origin[1]) * scale)
        step = max(1, int(_GRID_STEP * scale))
        columns, rows = -(-width // step), -(-height // step)
        # the centre of each cell, as in cv2.resize
        self._x = (np.arange(columns, dtype=np.float32)[None] + 0.5) * (width / columns) - 0.5
        self._y = (np.arange(rows, dtype=np.float32)[:, None] + 0.5) * (height / rows) - 0.5
        x = self._x / scale + origin[0]
        y = self._y / scale + origin[1]
        middle = ((head.left + head.right) / 2, (head.top + head.chin) / 2)
        u = (x - middle[0]) / (head.right - head.left)
        v = (y - middle[1]) / head.height
        self._depth = np.exp(-((u / 0.42) ** 2) - (v / 0.48) ** 2).astype(np.float32)
        below = np.clip((y - mouth[1]) / (head.chin - mouth[1]), 0, 1)
        rim = np.clip((head.chin + 0.14 * head.height - y) / (0.14 * head.height), 0, 1)
        side = np.exp(-((u / 0.37) ** 8))
        self._jaw = (below * below * (3 - 2 * below) * rim * side).astype(np.float32)
        brow = (y - (head.top + 0.385 * head.height)) / (0.07 * head.height)
        self._brow = (np.exp(-(brow**2)) * np.exp(-((u / 0.4) ** 4))).astype(np.float32)

    def maps(self, face: FaceParameters, rise: float) -> tuple[FloatImage, FloatImage]:
        """Returns the source x and y of every pixel, float32, the sheet's size.

        They change slowly between pixels, so they are computed on a grid and interpolated.
        """
        pose, unit = face.head, self._unit
        angle = math.radians(pose.roll_deg)
        cos, sin = math.cos(angle), math.sin(angle)
        px, py = self._pivot
        x = self._x - np.float32(px + unit * pose.x / 1000)
        y = self._y - np.float32(py + unit * pose.y / 1000 - rise)
        map_x = (x * np.float32(cos) + np.float32(px)) + y * np.float32(sin)
        map_y = (y * np.float32(cos) + np.float32(py)) - x * np.float32(sin)
        map_x -= self._depth * np.float32(_TURN * unit * pose.yaw)
        map_y -= self._depth * np.float32(_TURN * unit * pose.pitch)
        if face.mouth.jaw:
            map_y -= self._jaw * np.float32(_JAW_DROP * unit * face.mouth.jaw)
        if face.brow:
            map_y += self._brow * np.float32(_BROW_RISE * unit * face.brow)
        return self._enlarged(map_x), self._enlarged(map_y)

    def _enlarged(self, grid: FloatImage) -> FloatImage:
        full = cv2.resize(grid, self._size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(full, np.float32)


def _lay(picture: BgrImage, sheet: _Sheet, matrix: NDArray[np.float64]) -> None:
    height, width = sheet.pixels.shape[:2]
    moved = cv2.warpAffine(
        sheet.pixels,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    _blend(picture[sheet.box], np.asarray(moved, np.uint8))


def _blend(below: NDArray[np.uint8], above: NDArray[np.uint8]) -> None:
    """Lays premultiplied BGRA over BGR in place."""
    alpha = cv2.extractChannel(above, 3)
    rest = cv2.merge([cv2.bitwise_not(alpha)] * 3)
    kept = cv2.multiply(below, rest, scale=1 / 255)
    cv2.add(kept, cv2.cvtColor(above, cv2.COLOR_BGRA2BGR), dst=below)


def _over(below: NDArray[np.uint8], above: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lays premultiplied BGRA over premultiplied BGRA."""
    mixed = above.astype(np.float32) + below * (1 - above[..., 3:].astype(np.float32) / 255)
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _trim(pixels: NDArray[np.uint8], margin: int) -> _Sheet:
    """Crops to the non-empty part, with a margin for motion."""
    rows = np.flatnonzero(pixels[..., 3].max(axis=1))
    columns = np.flatnonzero(pixels[..., 3].max(axis=0))
    height, width = pixels.shape[:2]
    top, bottom = max(0, rows[0] - margin), min(height, rows[-1] + 1 + margin)
    left, right = max(0, columns[0] - margin), min(width, columns[-1] + 1 + margin)
    return _Sheet(np.ascontiguousarray(pixels[top:bottom, left:right]), int(left), int(top))


def _cover(layer: Layer, width: int, height: int) -> BgrImage:
    """Scales the background until it fills the picture, and crops the rest."""
    have_height, have_width = layer.shape[:2]
    zoom = max(width / have_width, height / have_height)
    size = (max(width, round(have_width * zoom)), max(height, round(have_height * zoom)))
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(layer[..., :3], size, interpolation=way)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width]).astype(np.uint8)
