"""The moving mouth of a photo: lower lip and jaw, upper lip, and between them the inner mouth."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.engine import BgrImage
from services.avatar.parameters import MouthShape
from services.avatar.photo.fields import LIPS, Fields
from services.avatar.photo.geometry import Geometry
from services.avatar.photo.inner_mouth import InnerMouth, Tones
from services.avatar.photo.warping import Placement, Warp

FloatImage = NDArray[np.float32]
_SHADOW = 0.35
_MARGIN = 0.14
"""How far beyond the box pixels may come from, in face heights."""


class MouthMotion:
    """The mouth of a photo in a picture.

    Args:
        geometry: The face in the picture.
        fields: The fields of the photo.
        placement: Where the photo lies in the picture.
        source: The picture at rest.
        tones: The colours of the inner mouth.
    """

    def __init__(
        self,
        geometry: Geometry,
        fields: Fields,
        placement: Placement,
        source: BgrImage,
        tones: Tones,
    ) -> None:
        height, width = source.shape[:2]
        self._gap = geometry.gap
        self._warp = Warp(fields.mouth, placement, (width, height))
        self.box = self._warp.box
        self._fields = {
            side: np.stack([self._warp.scaled(fields_[name]) for name in LIPS])
            for side, fields_ in (("upper", fields.upper), ("lower", fields.lower))
        }
        self._around = _widened(self.box, round(_MARGIN * geometry.axes.unit), (height, width))
        rows, columns = self._around
        y, x = np.mgrid[rows, columns]
        places = geometry.axes.to_face(np.stack([x, y], axis=-1).astype(np.float64))
        u, v = places[..., 0], places[..., 1]
        unit = geometry.axes.unit
        above = np.clip((geometry.upper_lip.at(u) - v) * unit + 0.5, 0, 1)
        below = np.clip((v - geometry.lower_lip.at(u)) * unit + 0.5, 0, 1)
        total = np.maximum(above + below, 1)
        self._upper = _with_alpha(source[self._around], above / total)
        self._lower = _with_alpha(source[self._around], below / total)
        softness = max(0.5, 0.6 * placement.zoom)
        self._inner = InnerMouth(geometry, u, v, tones, softness_px=softness)
        self._own = source[self._around].astype(np.float32)
        self._own_alpha = (1 - np.clip(above + below, 0, 1)).astype(np.float32)[..., None]
        fade = (geometry.lower_lip.at(u) - v) / max(0.3 * geometry.gap, 1e-3)
        self._own_soft = self._own_alpha * np.clip(fade, 0, 1).astype(np.float32)[..., None]
        self._shadow_px = max(1.0, 0.018 * unit)

    def draw(self, picture: BgrImage, mouth: MouthShape, places: FloatImage) -> None:
        """Draws a mouth that is not at rest into the picture.

        Args:
            picture: Is changed in the box of the mouth.
            mouth: The mouth.
            places: Where each place of the lattice comes from in the picture at rest, all motion
                of the face itself aside; shape (rows, columns, 2).
        """
        mouth = _bounded(mouth)
        weights = np.array(
            [mouth.jaw, mouth.width, mouth.rounding, mouth.press, mouth.tuck, self._closing(mouth)],
            np.float32,
        )
        upper = self._layer(self._upper, "upper", weights, places)
        lower = self._layer(self._lower, "lower", weights, places)
        above = np.asarray(upper[..., 3:] / 255, np.float32)
        below = np.asarray(lower[..., 3:] / 255, np.float32)
        # where the layers overlap the upper lip lies in front
        below = np.minimum(below, 1 - above)
        lip = np.maximum(lower[..., 3:], 1)
        mixed = upper[..., :3] + lower[..., :3] * (below * 255 / lip)
        hole = 1 - above - below
        if float(hole.max()) > 0.004:
            mixed += self._behind(mouth, places, above) * hole
        picture[self.box] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)

    def _closing(self, mouth: MouthShape) -> float:
        """How far the mouth has left the pose of the photo for a closed one.

        A smile that shows teeth is kept in silence; speech starts from closed lips.
        """
        if self._gap == 0:
            return 0.0
        effort = (
            1.6 * mouth.jaw
            + mouth.width
            + 1.5 * mouth.rounding
            + 2 * (mouth.press + mouth.tuck)
            + mouth.tongue
        )
        effort = min(1.0, 1.6 * effort)
        return effort * effort * (3 - 2 * effort)

    def _layer(
        self, layer: FloatImage, side: str, weights: FloatImage, places: FloatImage
    ) -> FloatImage:
        field = np.tensordot(weights, self._fields[side], axes=1)
        map_x, map_y = self._warp.maps(places, field.astype(np.float32))
        return self._taken(layer, map_x, map_y)

    def _behind(self, mouth: MouthShape, places: FloatImage, above: FloatImage) -> FloatImage:
        inner = self._inner.paint(jaw=mouth.jaw, tongue=mouth.tongue)
        if self._gap:
            opened = min(1.0, 4 * (mouth.jaw + mouth.tuck))
            alpha = self._own_alpha + (self._own_soft - self._own_alpha) * np.float32(opened)
            inner += (self._own - inner) * alpha
        map_x, map_y = self._warp.maps(places, None)
        moved = self._taken(inner, map_x, map_y)
        lip_shadow = cv2.GaussianBlur(above, (0, 0), self._shadow_px)
        effort = min(1.0, 3 * (mouth.jaw + mouth.tuck + mouth.width))
        return moved * (1 - np.float32(_SHADOW * effort) * lip_shadow[..., None])

    def _taken(self, layer: FloatImage, map_x: FloatImage, map_y: FloatImage) -> FloatImage:
        rows, columns = self._around
        taken = cv2.remap(
            layer,
            map_x - np.float32(columns.start),
            map_y - np.float32(rows.start),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(taken, np.float32)


def _widened(box: tuple[slice, slice], by: int, size: tuple[int, int]) -> tuple[slice, slice]:
    rows, columns = (
        slice(max(0, part.start - by), min(length, part.stop + by))
        for part, length in zip(box, size, strict=True)
    )
    return rows, columns


def _with_alpha(picture: BgrImage, alpha: NDArray[np.float64]) -> FloatImage:
    """Premultiplied BGRA, 0 to 255."""
    opaque = np.concatenate([picture, np.full_like(picture[..., :1], 255)], axis=-1)
    return (opaque * alpha[..., None]).astype(np.float32)


def _bounded(mouth: MouthShape) -> MouthShape:
    """Keeps the lips from being moved through each other: firm lips do not stand open."""
    return replace(mouth, jaw=mouth.jaw * (1 - mouth.press), width=min(1.0, mouth.width))
