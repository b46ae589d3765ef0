"""Dimensions and positions of a face, computed from the points of the mesh.

All values are in units of the face height (hairline to chin), in axes of the head: u to the
picture's right along the line of the eyes, v down, from the middle of the mouth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Point numbers of MediaPipe's face mesh; right and left are the person's.
_HAIRLINE, _CHIN, _NOSE_BASE, _NOSE_TIP = 10, 152, 2, 1
_RIGHT_CHEEK, _LEFT_CHEEK = 234, 454
_RIGHT_EYE_OUTER, _LEFT_EYE_OUTER = 33, 263
_UPPER_INNER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_LOWER_INNER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
_UPPER_OUTER_LIP_MIDDLE, _LOWER_OUTER_LIP_MIDDLE = 0, 17
_EYES = (
    (
        (33, 246, 161, 160, 159, 158, 157, 173, 133),
        (33, 7, 163, 144, 145, 153, 154, 155, 133),
        (46, 53, 52, 65, 55),
    ),
    (
        (362, 398, 384, 385, 386, 387, 388, 466, 263),
        (362, 382, 381, 380, 374, 373, 390, 249, 263),
        (285, 295, 282, 283, 276),
    ),
)
_CLOSED_GAP = 0.014
"""Lips closer than this are closed; the mesh is not more precise."""


@dataclass(frozen=True, kw_only=True)
class Axes:
    """The axes of the head in a picture.

    Attributes:
        origin: The middle of the mouth in pixels, shape (2,).
        right: The u axis, a unit vector.
        unit: The face height in pixels.
    """

    origin: Floats
    right: Floats
    unit: float

    @property
    def down(self) -> Floats:
        """The v axis, a unit vector."""
        return np.array([-self.right[1], self.right[0]])

    def to_face(self, pixels: Floats) -> Floats:
        """Returns u and v of pixels, shape (..., 2)."""
        return np.asarray((pixels - self.origin) @ np.stack([self.right, self.down]).T / self.unit)

    def to_pixels(self, places: Floats) -> Floats:
        """Returns the pixels of u and v, shape (..., 2)."""
        return np.asarray(places @ np.stack([self.right, self.down]) * self.unit + self.origin)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line across the face: v for increasing u, constant beyond its ends."""

    u: Floats
    v: Floats

    def at(self, u: Floats) -> Floats:
        """Returns v at u."""
        return np.asarray(np.interp(u, self.u, self.v))


@dataclass(frozen=True, kw_only=True)
class Eye:
    """One eye: both lids from corner to corner, and the lower edge of the brow."""

    upper: Curve
    lower: Curve
    brow: Curve

    @property
    def centre(self) -> Floats:
        """The middle between the corners."""
        return np.array([np.mean(self.upper.u[[0, -1]]), np.mean(self.upper.v[[0, -1]])])

    @property
    def width(self) -> float:
        """The distance between the corners."""
        return float(self.upper.u[-1] - self.upper.u[0])

    @property
    def opening(self) -> float:
        """The greatest distance between the lids."""
        return float(np.max(self.lower.at(self.upper.u) - self.upper.v))


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """A face.

    Attributes:
        axes: Its axes in the picture.
        left: u of its edge at the cheekbone, on the picture's left.
        right: u of its edge, on the picture's right.
        top: v of the hairline.
        chin: v of the chin.
        nose_base: v below the nose.
        upper_lip: The inner edge of the upper lip, from corner to corner.
        lower_lip: The inner edge of the lower lip.
        upper_height: The height of the red of the upper lip in its middle.
        lower_height: The same for the lower lip.
        eyes: On the picture's left and right.
        turn: How far the head is turned, 0 (towards the camera) to 1 (profile).
    """

    axes: Axes
    left: float
    right: float
    top: float
    chin: float
    nose_base: float
    upper_lip: Curve
    lower_lip: Curve
    upper_height: float
    lower_height: float
    eyes: tuple[Eye, Eye]
    turn: float

    @property
    def gap(self) -> float:
        """How far the mouth is open; 0 for closed lips."""
        return float(np.max(self.lower_lip.v - self.upper_lip.at(self.lower_lip.u)))

    @property
    def half_mouth(self) -> float:
        """Half the distance between the inner corners."""
        return float(self.upper_lip.u[-1] - self.upper_lip.u[0]) / 2

    @property
    def centre(self) -> Floats:
        """The middle of the face."""
        return np.array([(self.left + self.right) / 2, (self.top + self.chin) / 2])


def measure(points: NDArray[np.float32]) -> Geometry:
    """Measures a face.

    Args:
        points: The mesh in pixels, shape (468, 3).
    """
    flat = points[:, :2].astype(np.float64)
    across = flat[_LEFT_EYE_OUTER] - flat[_RIGHT_EYE_OUTER]
    right = across / np.linalg.norm(across)
    down = np.array([-right[1], right[0]])
    corners = flat[[_UPPER_INNER_LIP[0], _UPPER_INNER_LIP[-1]]]
    axes = Axes(
        origin=corners.mean(axis=0),
        right=right,
        unit=float((flat[_CHIN] - flat[_HAIRLINE]) @ down),
    )
    face = axes.to_face(flat)
    upper, lower = _lips(face)
    first, second = (
        Eye(upper=_curve(face, a), lower=_curve(face, b), brow=_curve(face, c)) for a, b, c in _EYES
    )
    return Geometry(
        axes=axes,
        left=float(face[_RIGHT_CHEEK, 0]),
        right=float(face[_LEFT_CHEEK, 0]),
        top=float(face[_HAIRLINE, 1]),
        chin=float(face[_CHIN, 1]),
        nose_base=float(face[_NOSE_BASE, 1]),
        upper_lip=upper,
        lower_lip=lower,
        upper_height=float(upper.at(np.zeros(1))[0] - face[_UPPER_OUTER_LIP_MIDDLE, 1]),
        lower_height=float(face[_LOWER_OUTER_LIP_MIDDLE, 1] - lower.at(np.zeros(1))[0]),
        eyes=(first, second),
        turn=_turn(face),
    )


def _lips(face: Floats) -> tuple[Curve, Curve]:
    upper, lower = _curve(face, _UPPER_INNER_LIP), _curve(face, _LOWER_INNER_LIP)
    u = np.linspace(upper.u[0], upper.u[-1], 41)
    high, low = _smooth(upper.at(u)), _smooth(lower.at(u))
    low = np.maximum(low, high)
    if float(np.max(low - high)) < _CLOSED_GAP:
        high = low = (high + low) / 2
    return Curve(u=u, v=high), Curve(u=u, v=low)


def _smooth(values: Floats) -> Floats:
    """Rounds the corners of a polyline; its ends stay in place."""
    padded = np.pad(values, 2, mode="reflect", reflect_type="odd")
    return np.convolve(padded, np.array([1, 2, 3, 2, 1]) / 9, mode="valid")


def _curve(face: Floats, numbers: Sequence[int]) -> Curve:
    places = face[list(numbers)]
    # u must not decrease for np.interp, even where a lid turns back at its corner
    return Curve(u=np.maximum.accumulate(places[:, 0]), v=places[:, 1])


def _turn(face: Floats) -> float:
    """Returns the turn of the head, from how far the tip of the nose is towards one cheek."""
    to_right = face[_LEFT_CHEEK, 0] - face[_NOSE_TIP, 0]
    to_left = face[_NOSE_TIP, 0] - face[_RIGHT_CHEEK, 0]
    return float(np.clip(abs(to_right - to_left) / max(to_right + to_left, 1e-6), 0, 1))
