"""Finds lips that are open where the mesh reports them closed.

The mesh is reliable for the outer edge of the lips and less so for the inner one: it often reports
a slightly open mouth as closed. Teeth and the dark behind them are distinguished from lips by
colour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.engine import BgrImage
from services.avatar.photo.geometry import Curve, Geometry

Floats = NDArray[np.float64]

_COLUMNS, _ROWS = 31, 96
_REACH = 0.8
"""In half mouth widths: closer to the corners too little is visible."""
_PALE, _BRIGHT, _DARK = 0.6, 1.05, 0.55
"""Redness and lightness of anything that is not a lip, relative to the lip's own."""
_LEAST_RED = 6.0
_LEAST_TEETH = 0.006
"""The minimum visible height of teeth, in face heights."""
_LEAST_COLUMNS = 0.6
_WIDER_BY = 0.008
_INNER = 0.6
"""In half mouth widths: where teeth or the dark are searched for."""


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """Lines down across both lips, from edge to edge.

    Attributes:
        across: Their positions, -1 to 1 of the mouth.
        u: The same in the axes of the face.
        v: The points of each, shape (columns, rows).
        teeth: Which points show teeth.
        dark: Which points show the dark behind.
    """

    across: Floats
    u: Floats
    v: Floats
    teeth: NDArray[np.bool_]
    dark: NDArray[np.bool_]


def opened(picture: BgrImage, geometry: Geometry) -> Geometry:
    """Returns the face with the inner edges of its lips at the positions that the picture shows.

    The face is unchanged if the mesh has detected the gap or the lips have no distinct colour.
    """
    columns = _columns(picture, geometry)
    v = columns.v
    inner = np.abs(columns.across) < _INNER
    teeth = columns.teeth[inner].sum(axis=1) * (v[inner, 1] - v[inner, 0])
    if np.mean(teeth >= _LEAST_TEETH) < _LEAST_COLUMNS:
        return geometry
    edges = np.array([_longest(row) for row in columns.teeth | columns.dark])
    upper = np.take_along_axis(v, edges[:, :1], axis=1)[:, 0]
    lower = np.take_along_axis(v, edges[:, 1:], axis=1)[:, 0]
    if np.max(lower - upper) < geometry.gap + _WIDER_BY:
        return geometry
    return replace(
        geometry,
        upper_lip=_along(geometry.upper_lip, columns, upper),
        lower_lip=_along(geometry.lower_lip, columns, lower),
        upper_height=max(0.01, float(np.median((upper - v[:, 0])[inner]))),
        lower_height=max(0.01, float(np.median((v[:, -1] - lower)[inner]))),
    )


def dark_share(picture: BgrImage, geometry: Geometry) -> float:
    """Returns the share of the gap between the lips that is neither tooth nor tongue, 0 to 1."""
    columns = _columns(picture, geometry)
    inner = np.abs(columns.across) < _INNER
    upper, lower = geometry.upper_lip.at(columns.u), geometry.lower_lip.at(columns.u)
    between = (columns.v > upper[:, None]) & (columns.v < lower[:, None])
    seen = between[inner]
    return float(columns.dark[inner][seen].mean()) if seen.any() else 0.0


def _columns(picture: BgrImage, geometry: Geometry) -> _Columns:
    across = np.linspace(-_REACH, _REACH, _COLUMNS)
    u = across * geometry.half_mouth + float(np.mean(geometry.upper_lip.u[[0, -1]]))
    shape = np.sqrt(1 - across**2)
    top = geometry.upper_lip.at(u) - geometry.upper_height * shape
    bottom = geometry.lower_lip.at(u) + geometry.lower_height * shape
    v = np.linspace(top, bottom, _ROWS, axis=1)
    teeth, dark = _no_lip(_lab(picture, geometry, u, v))
    return _Columns(across=across, u=u, v=v, teeth=teeth, dark=dark)


def _lab(picture: BgrImage, geometry: Geometry, u: Floats, v: Floats) -> NDArray[np.float32]:
    """Returns lightness and redness of the points, shape (columns, rows, 3)."""
    places = np.stack([np.broadcast_to(u[:, None], v.shape), v], axis=-1)
    pixels = geometry.axes.to_pixels(places).astype(np.float32)
    taken = cv2.remap(
        cv2.GaussianBlur(picture, (0, 0), max(0.5, 0.002 * geometry.axes.unit)),
        np.ascontiguousarray(pixels[..., 0]),
        np.ascontiguousarray(pixels[..., 1]),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    lab = cv2.cvtColor(taken.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    return np.asarray(lab, np.float32)


def _no_lip(lab: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns which points show teeth and which show the dark behind them."""
    light, red = lab[..., 0], lab[..., 1]
    lips = slice(_ROWS // 12, _ROWS // 5), slice(-_ROWS // 5, -_ROWS // 12)
    lip_red = float(np.median(np.concatenate([red[:, part] for part in lips], axis=1)))
    lip_light = float(np.median(np.concatenate([light[:, part] for part in lips], axis=1)))
    dark = np.asarray(light < _DARK * lip_light)
    if lip_red < _LEAST_RED:
        return np.zeros_like(dark), dark
    return np.asarray((red < _PALE * lip_red) & (light > _BRIGHT * lip_light)), dark


def _longest(row: NDArray[np.bool_]) -> tuple[int, int]:
    """Returns the first and last index of the longest run of true values; the middle if none."""
    changes = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    if not len(changes):
        return len(row) // 2, len(row) // 2
    starts, ends = changes[::2], changes[1::2] - 1
    best = int(np.argmax(ends - starts))
    return int(starts[best]), int(ends[best])


def _along(lip: Curve, columns: _Columns, v: Floats) -> Curve:
    """Returns a smooth line through the points, which meets the other lip at the corners."""
    wide = np.interp(lip.u, lip.u[[0, -1]], [-1, 1])
    # fits a bow, because teeth make single columns jump
    weights, *_ = np.linalg.lstsq(_bows(columns.across), v - lip.at(columns.u), rcond=None)
    return Curve(u=lip.u, v=lip.v + _bows(wide) @ weights)


def _bows(across: Floats) -> Floats:
    bow = np.sqrt(np.maximum(1 - across**2, 0))
    return np.stack([bow, bow * across, bow * across**2], axis=1)
