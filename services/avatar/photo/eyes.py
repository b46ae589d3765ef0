"""Blinks and gaze of a photo: lid skin is drawn over the eye, the iris moves beneath it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.engine import BgrImage
from services.avatar.photo.geometry import Axes, Eye

FloatImage = NDArray[np.float32]

_STIFF = 0.40
"""How much of the lid moves unstretched with its lashes, relative to the open eye's height."""
_LASHES = 0.10
"""How far the lashes reach below the mesh's edge of the lid, relative to the same height."""
_OVERLAP = 0.06
_GAZE_ACROSS = 0.10
"""How far the iris moves at gaze 1, relative to the eye's width."""
_GAZE_DOWN = 0.14
_TABLE = 256


class EyeMotion:
    """One eye in a picture.

    The skin between the brow and the lid's edge is stretched downward over the eye. The brow's
    lower edge stays in place, so a blink does not drag it along.

    Args:
        eye: Its position.
        axes: The axes of the face in the picture.
        size: Width and height of the picture.
    """

    def __init__(self, eye: Eye, axes: Axes, size: tuple[int, int]) -> None:
        self._axes = axes
        u0, u1 = float(eye.upper.u[0]), float(eye.upper.u[-1])
        top = float(eye.brow.v.min())
        bottom = float(eye.lower.v.max()) + 0.03
        corners = axes.to_pixels(
            np.array([[u0, top], [u1, top], [u1, bottom], [u0, bottom]], np.float64)
        )
        low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 3, 0)
        high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 4, size)
        self.box = (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
        self._table_start, self._table_step = u0, (u1 - u0) / (_TABLE - 1)
        u = np.linspace(u0, u1, _TABLE)
        upper, lower = eye.upper.at(u), np.maximum(eye.lower.at(u), eye.upper.at(u))
        brow = np.minimum(eye.brow.at(u), upper - 0.6 * eye.opening)
        self._tables = np.stack([upper, lower, brow]).astype(np.float32)
        self._opening = eye.opening
        self._across = _GAZE_ACROSS * eye.width
        self._down = _GAZE_DOWN * eye.opening
        self._ends = (u0, u1)

    def draw(
        self,
        source: BgrImage,
        map_x: FloatImage,
        map_y: FloatImage,
        *,
        blink: float,
        gaze_x: float,
        gaze_y: float,
    ) -> BgrImage:
        """Draws the box of the eye.

        Args:
            source: The picture at rest.
            map_x: The source x of each pixel of the box in the picture at rest, without the lids.
            map_y: The same for y.
            blink: 0 open, 1 closed.
            gaze_x: -1 to 1.
            gaze_y: -1 to 1.
        """
        u, v = self._places(map_x, map_y)
        upper, lower, brow = self._lids(u)
        eyeball = self._eyeball(source, map_x, map_y, u, v, (upper, lower), (gaze_x, gaze_y))
        if blink <= 0:
            return eyeball
        opening = np.float32(self._opening)
        move = np.float32(blink * (1 + _OVERLAP)) * (lower - upper)
        stiff = np.float32(_STIFF) * opening
        edge = upper + move
        rest = np.maximum(upper - stiff - brow, np.float32(1e-4))
        stretched = brow + (v - brow) * rest / (rest + move)
        from_v = np.where(v >= edge - stiff, v - move, np.where(v > brow, stretched, v))
        lid = self._remap(source, map_x, map_y, np.zeros_like(v), from_v - v)
        closing = np.minimum(move / (np.float32(0.3) * opening), np.float32(1))
        reach = edge + np.float32(_LASHES) * opening * closing
        alpha = (reach - v) * np.float32(self._axes.unit) + np.float32(0.5)
        alpha = np.clip(alpha, 0, 1)[..., None]
        mixed = eyeball + (lid.astype(np.float32) - eyeball) * alpha
        return np.asarray(mixed + np.float32(0.5), np.uint8)

    def _places(self, map_x: FloatImage, map_y: FloatImage) -> tuple[FloatImage, FloatImage]:
        axes = self._axes
        x = (map_x - np.float32(axes.origin[0])) * np.float32(1 / axes.unit)
        y = (map_y - np.float32(axes.origin[1])) * np.float32(1 / axes.unit)
        cos, sin = np.float32(axes.right[0]), np.float32(axes.right[1])
        return x * cos + y * sin, y * cos - x * sin

    def _lids(self, u: FloatImage) -> tuple[FloatImage, FloatImage, FloatImage]:
        place = (u - np.float32(self._table_start)) * np.float32(1 / self._table_step)
        index = np.clip(place + np.float32(0.5), 0, _TABLE - 1).astype(np.intp)
        upper, lower, brow = self._tables[:, index]
        return upper, lower, brow

    def _eyeball(
        self,
        source: BgrImage,
        map_x: FloatImage,
        map_y: FloatImage,
        u: FloatImage,
        v: FloatImage,
        lids: tuple[FloatImage, FloatImage],
        gaze: tuple[float, float],
    ) -> BgrImage:
        if gaze == (0.0, 0.0):
            drawn = cv2.remap(
                source, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            return np.asarray(drawn, np.uint8)
        upper, lower = lids
        inside = np.minimum(v - upper, lower - v) * np.float32(3 / self._opening)
        u0, u1 = self._ends
        inside = np.minimum(inside, np.minimum(u - u0, u1 - u) * np.float32(4 / (u1 - u0)))
        inside = np.clip(inside, 0, 1)
        weight = inside * inside * (3 - 2 * inside)
        du = weight * np.float32(-self._across * gaze[0])
        dv = weight * np.float32(-self._down * gaze[1])
        return self._remap(source, map_x, map_y, du, dv)

    def _remap(
        self,
        source: BgrImage,
        map_x: FloatImage,
        map_y: FloatImage,
        du: FloatImage,
        dv: FloatImage,
    ) -> BgrImage:
        axes = self._axes
        cos, sin = np.float32(axes.right[0] * axes.unit), np.float32(axes.right[1] * axes.unit)
        drawn = cv2.remap(
            source,
            map_x + du * cos - dv * sin,
            map_y + du * sin + dv * cos,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(drawn, np.uint8)
