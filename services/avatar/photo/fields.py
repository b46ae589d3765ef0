"""How each point of a photo moves with each parameter, computed once when the avatar is made.

A field maps a point of the photo to its displacement. Around the mouth there are two fields per
parameter: one above the line where the lips meet, one below it. The lips are cut along that line,
so opening the mouth smears neither lip; beyond the corners both fields are equal, so the cut ends
there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.avatar.photo.geometry import Curve, Geometry

Floats = NDArray[np.float64]
FloatImage = NDArray[np.float32]

JAW_DROP = 0.075
"""How far the chin sinks at jaw 1; in face heights, like every length here."""
LIP_DROP = 0.098
"""How far the middle of the lower lip sinks at jaw 1."""
_LIP_RISE = 0.012
_WIDEN = 0.030
_CORNER_RISE = 0.008
_NARROW, _NARROWEST = 0.38, 0.45
"""How far the corners move inwards at rounding 1, in half mouth widths; a smile moves further."""
_ROUND_HALF = 0.09
"""Half the mouth width at rounding 1, unless that is too far."""
_LEVEL = 0.7
"""How much of the arch of the mouth disappears at rounding 1: pursed lips do not smile."""
_PUCKER_UPPER, _PUCKER_LOWER = 0.45, 0.28
"""How much of their height the lips gain at rounding 1."""
_PURSE = 0.003
"""How far each lip extends over the opening at rounding 1."""
_FULLER = 0.45
"""How much of its height a lip gains when a wide smile, which thinned it, closes."""
_WIDE_SMILE = 0.06
"""The gap of a smile that thins the lips."""
_TUCK_RISE = 0.017
_TUCK_LIFT = 0.008
_THIN = 0.42
"""How much of their height the lips lose at press 1."""
_BROW_RISE = 0.022
_NECK = 0.42
"""How far below the chin the neck still moves."""

SHARED = ("jaw", "width", "rounding", "brow")
"""Parameters that move both sides of the cut equally, everywhere in the face."""
LIPS = ("jaw", "width", "rounding", "press", "tuck", "close")
"""Parameters that move the surroundings of the mouth."""


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """Points of the photo, `step` pixels apart from (left, top)."""

    left: float
    top: float
    step: float
    columns: int
    rows: int

    def pixels(self) -> Floats:
        """Returns the pixel of each point, shape (rows, columns, 2)."""
        x = self.left + self.step * np.arange(self.columns)
        y = self.top + self.step * np.arange(self.rows)
        return np.stack(np.meshgrid(x, y), axis=-1)


@dataclass(frozen=True, kw_only=True)
class Fields:
    """All fields of a photo; displacements in pixels of the photo.

    Attributes:
        head: The points of the head.
        head_weight: How far a point follows the head, 0 to 1, shape (rows, columns).
        head_depth: How far it protrudes from the face, 0 to 1.
        shared: By the names in `SHARED`, shape (rows, columns, 2).
        mouth: The points around the mouth.
        upper: By the names in `LIPS`, above the cut.
        lower: Below the cut.
    """

    head: Lattice
    head_weight: FloatImage
    head_depth: FloatImage
    shared: Mapping[str, FloatImage]
    mouth: Lattice
    upper: Mapping[str, FloatImage]
    lower: Mapping[str, FloatImage]


def make_fields(geometry: Geometry) -> Fields:
    """Computes the fields of a face."""
    head, radii = _head_lattice(geometry)
    mouth = _mouth_lattice(geometry)
    places = geometry.axes.to_face(head.pixels())
    weight, depth = _head(geometry, places, radii)
    shared = _Shared(geometry)
    near = geometry.axes.to_face(mouth.pixels())
    return Fields(
        head=head,
        head_weight=weight.astype(np.float32),
        head_depth=depth.astype(np.float32),
        shared={name: _turned(geometry, shared.field(name, places)) for name in SHARED},
        mouth=mouth,
        upper={
            name: _turned(geometry, shared.field(name, near) + field)
            for name, field in _upper(geometry, near).items()
        },
        lower={
            name: _turned(geometry, shared.field(name, near) + field)
            for name, field in _lower(geometry, near).items()
        },
    )


def meeting_line(geometry: Geometry) -> Curve:
    """Returns the line along which the lips meet when closed."""
    upper, lower = geometry.upper_lip, geometry.lower_lip
    # a smile raises the upper lip more than it lowers the lower one
    return Curve(u=upper.u, v=0.3 * upper.v + 0.7 * lower.at(upper.u))


def smooth_step(x: Floats) -> Floats:
    """Rises from 0 at 0 to 1 at 1, flat at both ends."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))


def _head_lattice(geometry: Geometry) -> tuple[Lattice, Floats]:
    """Returns the lattice of head and hair, and the radii of its rigid part in face heights."""
    radii = np.array([0.66 * (geometry.right - geometry.left), 0.80])
    return _lattice(geometry, geometry.centre, 1.75 * radii, 0.025), radii


def _mouth_lattice(geometry: Geometry) -> Lattice:
    top, bottom = geometry.nose_base - 0.03, geometry.chin + 0.03
    middle = float(np.mean(geometry.upper_lip.u[[0, -1]]))
    half = np.array([1.2 * geometry.half_mouth + 0.05, (bottom - top) / 2])
    return _lattice(geometry, np.array([middle, (top + bottom) / 2]), half, 0.0125)


def _lattice(geometry: Geometry, centre: Floats, half: Floats, step: float) -> Lattice:
    """Returns a lattice upright in the photo that contains a box upright in the face."""
    corners = centre + half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    pixels = geometry.axes.to_pixels(corners)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    step_px = step * geometry.axes.unit
    columns, rows = (int(n) for n in np.ceil((high - low) / step_px).astype(int) + 1)
    return Lattice(left=float(low[0]), top=float(low[1]), step=step_px, columns=columns, rows=rows)


def _turned(geometry: Geometry, field: Floats) -> FloatImage:
    """Converts displacements along u and v to pixels along x and y."""
    axes = geometry.axes
    return np.asarray(field @ np.stack([axes.right, axes.down]) * axes.unit, np.float32)


def _head(geometry: Geometry, places: Floats, radii: Floats) -> tuple[Floats, Floats]:
    offset = (places - geometry.centre) / radii
    radius = np.linalg.norm(offset, axis=-1)
    weight = 1 - smooth_step((radius - 1) / 0.72)
    u = (places[..., 0] - geometry.centre[0]) / (geometry.right - geometry.left)
    v = places[..., 1] - geometry.centre[1]
    return weight, np.exp(-((u / 0.42) ** 2) - (v / 0.48) ** 2)


class _Shared:
    """Fields that are independent of the cut."""

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._line = meeting_line(geometry)
        self._middle = float(np.mean(self._line.u[[0, -1]]))

    def field(self, name: str, places: Floats) -> Floats:
        """Returns the displacement of each point along u and v."""
        functions: dict[str, Callable[[Floats, Floats], tuple[Floats, Floats]]] = {
            "jaw": self._jaw,
            "width": self._width,
            "rounding": self._rounding,
            "brow": self._brow,
        }
        if name not in functions:
            return np.zeros_like(places)
        return np.stack(functions[name](places[..., 0], places[..., 1]), axis=-1)

    def _jaw(self, u: Floats, v: Floats) -> tuple[Floats, Floats]:
        chin = self._geometry.chin
        line = self._line.at(u)
        below = smooth_step((v - line) / (chin - line))
        neck = 1 - smooth_step((v - chin) / _NECK)
        side = np.exp(-(((u - self._middle) / 0.33) ** 4))
        return np.zeros_like(u), JAW_DROP * below * neck * side

    def _corners(self, u: Floats, v: Floats, height: float) -> Floats:
        """Returns -1 at one corner of the mouth and 1 at the other, fading away from them."""
        half = self._geometry.half_mouth
        across = (u - self._middle) / half
        beyond = np.maximum(np.abs(across) - 1, 0)
        corner = float(np.mean(self._line.v[[0, -1]]))
        fade = np.exp(-((beyond / 0.62) ** 2)) * np.exp(-(((v - corner) / height) ** 2))
        return np.asarray(np.clip(across, -1, 1) * fade)

    def _width(self, u: Floats, v: Floats) -> tuple[Floats, Floats]:
        pull = self._corners(u, v, 0.11)
        return _WIDEN * pull, -_CORNER_RISE * pull**2

    def _rounding(self, u: Floats, v: Floats) -> tuple[Floats, Floats]:
        half = self._geometry.half_mouth
        share = float(np.clip(1 - _ROUND_HALF / half, _NARROW, _NARROWEST))
        narrow = -share * half * self._corners(u, v, 0.14)
        middle = float(self._line.at(np.array([self._middle]))[0])
        beyond = np.maximum(np.abs(u - self._middle) / half - 1, 0)
        fade = np.exp(-((beyond / 0.62) ** 2)) * np.exp(-(((v - middle) / 0.14) ** 2))
        return narrow, _LEVEL * (middle - self._line.at(u)) * fade

    def _brow(self, u: Floats, v: Floats) -> tuple[Floats, Floats]:
        edges = [float(np.mean(eye.brow.v)) for eye in self._geometry.eyes]
        middle = float(np.mean(edges)) - 0.02
        # the lid stays in place: the field ends above it
        spread = np.where(v > middle, 0.045, 0.09)
        side = np.exp(-(((u - self._geometry.centre[0]) / 0.40) ** 4))
        return np.zeros_like(u), -_BROW_RISE * np.exp(-(((v - middle) / spread) ** 2)) * side


def _opening(geometry: Geometry, u: Floats) -> Floats:
    """Returns how far each point along the lips opens: 1 in the middle, 0 beyond the corners."""
    middle = float(np.mean(geometry.upper_lip.u[[0, -1]]))
    across = (u - middle) / geometry.half_mouth
    return np.asarray(np.maximum(1 - across**2, 0) ** 0.65)


def _red(depth: Floats, height: float) -> Floats:
    """Returns 1 at the outer edge of a lip, 0 at its inner edge and beyond."""
    x = np.maximum(depth, 0) / height
    return np.asarray(x * np.exp((1 - x * x) / 2))


def _upper(geometry: Geometry, places: Floats) -> dict[str, Floats]:
    u, v = places[..., 0], places[..., 1]
    edge = geometry.upper_lip.at(u)
    depth = edge - v
    height = max(geometry.upper_height, 0.015)
    room = max(float(geometry.upper_lip.v.max()) - geometry.nose_base, height + 0.02)
    follow = 1 - smooth_step((depth - 0.6 * height) / (room - 0.6 * height))
    opening = _opening(geometry, u)
    red = _red(depth, height) * np.sqrt(opening)
    close, fuller = meeting_line(geometry).at(u) - edge, _fuller(geometry)
    return _down(
        {
            "jaw": -_LIP_RISE * opening * follow,
            "width": np.zeros_like(u),
            "rounding": _PURSE * opening * follow - _PUCKER_UPPER * height * red,
            "press": _THIN * height * red,
            "tuck": -_TUCK_RISE * opening * follow,
            "close": close * follow - fuller * height * red,
        }
    )


def _lower(geometry: Geometry, places: Floats) -> dict[str, Floats]:
    u, v = places[..., 0], places[..., 1]
    edge = geometry.lower_lip.at(u)
    depth = v - edge
    height = max(geometry.lower_height, 0.02)
    room = geometry.chin - edge
    follow = 1 - smooth_step((depth - 0.9 * height) / (0.85 * room - 0.9 * height))
    opening = _opening(geometry, u)
    red = _red(depth, height) * np.sqrt(opening)
    close, fuller = meeting_line(geometry).at(u) - edge, _fuller(geometry)
    return _down(
        {
            "jaw": LIP_DROP * opening * (1 - smooth_step(depth / room)),
            "width": np.zeros_like(u),
            "rounding": -_PURSE * opening * follow + _PUCKER_LOWER * height * red,
            "press": -_THIN * height * red,
            "tuck": -_TUCK_LIFT * opening * follow - 0.3 * height * red,
            "close": close * follow + 0.5 * fuller * height * red,
        }
    )


def _fuller(geometry: Geometry) -> float:
    return _FULLER * min(1.0, geometry.gap / _WIDE_SMILE)


def _down(fields: Mapping[str, Floats]) -> dict[str, Floats]:
    return {name: np.stack([np.zeros_like(v), v], axis=-1) for name, v in fields.items()}
