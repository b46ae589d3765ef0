"""The moving mouth of a photo: lower lip and jaw, upper lip, and the inner mouth between them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.animation.parameters import MouthShape
from services.avatar.engine import BgrImage
from services.avatar.photo.fields import LIP_DROP, LIPS, Fields
from services.avatar.photo.geometry import Geometry
from services.avatar.photo.inner_mouth import InnerMouth, Tones
from services.avatar.photo.warping import Placement, Warp

FloatImage = NDArray[np.float32]
_SHADOW = 0.26
"""How much of the light behind it the upper lip blocks."""
_ROUND_SHADOW = 0.75
_MARGIN = 0.14
"""How far outside the box source pixels may lie, in face heights."""


class MouthMotion:
    """Animates the mouth of a photo in a picture.

    Args:
        geometry: The face in the picture.
        fields: The fields of the photo.
        placement: The position of the photo in the picture.
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
        self.warp = Warp(fields.mouth, placement, (width, height))
        self.box = self.warp.box
        self._fields = {
            side: np.stack([self.warp.displacements(fields_[name], fields.mouth) for name in LIPS])
            for side, fields_ in (("upper", fields.upper), ("lower", fields.lower))
        }
        self._around = _widened(self.box, round(_MARGIN * geometry.axes.unit), (height, width))
        u, v = _places(geometry, self._around)
        unit = geometry.axes.unit
        above = np.clip((geometry.upper_lip.at(u) - v) * unit + 0.5, 0, 1)
        below = np.clip((v - geometry.lower_lip.at(u)) * unit + 0.5, 0, 1)
        total = np.maximum(above + below, 1)
        self._upper = _with_alpha(source[self._around], above / total)
        self._lower = _with_alpha(source[self._around], below / total)
        self._hole = _hole(geometry, (height, width))
        u, v = _places(geometry, self._hole)
        softness = max(0.5, 0.6 * placement.zoom)
        self._inner = InnerMouth(geometry, u, v, tones, softness_px=softness)
        self._own = source[self._hole].astype(np.float32)
        above = np.clip((geometry.upper_lip.at(u) - v) * unit + 0.5, 0, 1)
        below = np.clip((v - geometry.lower_lip.at(u)) * unit + 0.5, 0, 1)
        self._own_alpha = (1 - np.clip(above + below, 0, 1)).astype(np.float32)[..., None]
        fade = (geometry.lower_lip.at(u) - v) / max(0.3 * geometry.gap, 1e-3)
        self._own_soft = self._own_alpha * np.clip(fade, 0, 1).astype(np.float32)[..., None]
        # light that has passed through flesh takes on its colour
        flesh = np.array(tones.flesh, np.float32)
        self._shade = np.float32(_SHADOW) * (flesh.mean() / np.maximum(flesh, 1)) ** np.float32(0.6)
        cavity = np.array(tones.cavity, np.float32)
        self._dark = np.float32(0.18) * flesh + np.float32(0.6) * cavity
        self._shadow_px = max(1.0, 0.018 * unit)

    def draw(self, picture: BgrImage, mouth: MouthShape, places: FloatImage) -> None:
        """Draws a mouth that is not at rest into the picture.

        Args:
            picture: Modified within the box of the mouth.
            mouth: The mouth, as returned by `bounded`.
            places: The source of each point of the lattice in the picture at rest, without the
                motion of the face itself; shape (rows, columns, 2).
        """
        weights = lip_weights(mouth, self._gap)
        upper = self._layer(self._upper, "upper", weights, places)
        lower = self._layer(self._lower, "lower", weights, places)
        above = np.asarray(upper[..., 3:] / 255, np.float32)
        below = np.asarray(lower[..., 3:] / 255, np.float32)
        # where the layers overlap, the upper lip is in front
        below = np.minimum(below, 1 - above)
        lip = np.maximum(lower[..., 3:], 1)
        mixed = upper[..., :3] + lower[..., :3] * (below * 255 / lip)
        hole = 1 - above - below
        if float(hole.max()) > 0.004:
            mixed += self._behind(mouth, places, above) * hole
        picture[self.box] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)

    def _layer(
        self, layer: FloatImage, side: str, weights: FloatImage, places: FloatImage
    ) -> FloatImage:
        field = np.tensordot(weights, self._fields[side], axes=1)
        map_x, map_y = self.warp.maps(places, field.astype(np.float32))
        return _taken(layer, self._around, map_x, map_y)

    def _behind(self, mouth: MouthShape, places: FloatImage, above: FloatImage) -> FloatImage:
        inner = self._inner.paint(jaw=mouth.jaw, tongue=mouth.tongue)
        if self._gap:
            opened = min(1.0, 4 * (mouth.jaw + mouth.tuck))
            alpha = self._own_alpha + (self._own_soft - self._own_alpha) * np.float32(opened)
            inner += (self._own - inner) * alpha
        map_x, map_y = self.warp.maps(places, None)
        moved = _taken(inner, self._hole, map_x, map_y)
        lip_shadow = cv2.GaussianBlur(above, (0, 0), self._shadow_px)
        effort = min(1.0, 3 * (mouth.jaw + mouth.tuck + mouth.width))
        lit = moved * (1 - self._shade * np.float32(effort) * lip_shadow[..., None])
        # protruding lips keep the light out
        dim = lit + (self._dark - lit) * np.float32(_ROUND_SHADOW * mouth.rounding**2)
        return np.asarray(dim, np.float32)


def bounded(mouth: MouthShape) -> MouthShape:
    """Limits a mouth so that the lips do not pass through each other: pressed lips are not open."""
    return replace(mouth, jaw=mouth.jaw * (1 - mouth.press), width=min(1.0, mouth.width))


def lip_weights(mouth: MouthShape, gap: float) -> FloatImage:
    """Returns how strongly each field of `LIPS` moves the lips.

    Args:
        mouth: The mouth, as returned by `bounded`.
        gap: How far the mouth of the photo is open, in face heights.
    """
    closing = _closing(mouth) if gap else 0.0
    return np.array(
        [mouth.jaw, mouth.width, mouth.rounding, mouth.press, mouth.tuck, closing], np.float32
    )


def _closing(mouth: MouthShape) -> float:
    """Returns how far the mouth has moved from the photo's pose towards a closed one.

    A smile that shows teeth is kept in silence; speech starts from closed lips.
    """
    effort = (
        1.6 * mouth.jaw
        + mouth.width
        + 1.5 * mouth.rounding
        + 2 * (mouth.press + mouth.tuck)
        + mouth.tongue
    )
    effort = min(1.0, 1.6 * effort)
    return effort * effort * (3 - 2 * effort)


def _taken(
    layer: FloatImage, box: tuple[slice, slice], map_x: FloatImage, map_y: FloatImage
) -> FloatImage:
    """Returns the pixels of a layer that covers a box of the picture."""
    rows, columns = box
    taken = cv2.remap(
        layer,
        map_x - np.float32(columns.start),
        map_y - np.float32(rows.start),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(taken, np.float32)


def _places(
    geometry: Geometry, box: tuple[slice, slice]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns u and v of each pixel of a box of the picture."""
    y, x = np.mgrid[box]
    places = geometry.axes.to_face(np.stack([x, y], axis=-1).astype(np.float64))
    return places[..., 0], places[..., 1]


def _hole(geometry: Geometry, size: tuple[int, int]) -> tuple[slice, slice]:
    """Returns the box of everything visible between the lips of a head at rest."""
    upper, lower = geometry.upper_lip, geometry.lower_lip
    left, right = float(upper.u[0]) - 0.02, float(upper.u[-1]) + 0.02
    top, bottom = float(upper.v.min()) - 0.04, float(lower.v.max()) + LIP_DROP + 0.03
    corners = geometry.axes.to_pixels(
        np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    )
    low = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)) + 1, size[::-1]).astype(int)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _widened(box: tuple[slice, slice], by: int, size: tuple[int, int]) -> tuple[slice, slice]:
    rows, columns = (
        slice(max(0, part.start - by), min(length, part.stop + by))
        for part, length in zip(box, size, strict=True)
    )
    return rows, columns


def _with_alpha(picture: BgrImage, alpha: NDArray[np.float64]) -> FloatImage:
    """Returns premultiplied BGRA, 0 to 255."""
    opaque = np.concatenate([picture, np.full_like(picture[..., :1], 255)], axis=-1)
    return (opaque * alpha[..., None]).astype(np.float32)
