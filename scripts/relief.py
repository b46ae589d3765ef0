"""Shading of a painted face: a height map built of smooth bumps, lit from the upper left.

This makes the volume consistent over the whole face, unlike shadows that are placed by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from scripts.painting import CANVAS, SIZE, FloatImage, Layer

_SIDE = 2 * CANVAS
_LIGHT = np.array([-0.42, -0.5, 0.76])

Bump = tuple[float, float, float, float, float]
"""x, y, sigma across, sigma down, height; canvas units."""


@dataclass(frozen=True, kw_only=True)
class Skin:
    """The tones of a skin, from the light to the deepest shade, and of its blush."""

    base: str
    light: str
    shade: str
    deep: str
    blush: str


@dataclass(frozen=True, kw_only=True)
class Relief:
    """The volume of a face.

    Attributes:
        centre: The middle of the skull's dome.
        radii: Its extent to the sides and down.
        depth: Its height.
        nose: Top, bottom, width and height of the nose.
        bumps: Other parts that rise from the dome or sink into it.
    """

    centre: tuple[float, float]
    radii: tuple[float, float]
    depth: float
    nose: tuple[float, float, float, float]
    bumps: Sequence[Bump]


def paired(*bumps: Bump, centre: float = 256) -> list[Bump]:
    """Returns the bumps for both sides of a face; x counts from the middle."""
    return [(centre + side * x, y, a, d, rise) for side in (-1, 1) for x, y, a, d, rise in bumps]


def lit(relief: Relief) -> FloatImage:
    """Returns how much lighter (above 0) or darker than flat skin each pixel is, about -1 to 1."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32) * (CANVAS / _SIDE)
    u = (x - relief.centre[0]) / relief.radii[0]
    v = (y - relief.centre[1]) / relief.radii[1]
    height = relief.depth * np.sqrt(np.maximum(0.04, 1 - (u**2) ** 1.15 - np.abs(v) ** 2.6))
    height += _nose(x, y, relief)
    for bump_x, bump_y, across, down, rise in relief.bumps:
        height += rise * np.exp(-(((x - bump_x) / across) ** 2) - ((y - bump_y) / down) ** 2)
    height = cv2.GaussianBlur(height, (0, 0), 2.2)
    slope_y, slope_x = np.gradient(height, CANVAS / _SIDE)
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    light = _LIGHT / np.linalg.norm(_LIGHT)
    lambert = (-slope_x * light[0] - slope_y * light[1] + light[2]) / length
    # subsurface scattering softens the shade
    gain = np.asarray(lambert - light[2], np.float32)
    gain = 0.65 * gain + 0.35 * cv2.GaussianBlur(gain, (0, 0), 9)
    return np.asarray(cv2.resize(gain, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), np.float32)


def _nose(x: FloatImage, y: FloatImage, relief: Relief) -> FloatImage:
    top, bottom, width, rise = relief.nose
    t = np.clip((y - top) / (bottom - top), 0, 1)
    ramp = t * t * (3 - 2 * t)
    under = np.clip((bottom + 6 - y) / 13, 0, 1)
    under = under * under * (3 - 2 * under)
    across = width * (0.55 + 0.45 * ramp)
    ridge = rise * (0.22 + 0.78 * ramp) * under * np.exp(-(((x - 256) / across) ** 2))
    return np.asarray(ridge * np.clip((y - top + 14) / 14, 0, 1), np.float32)


def shade(layer: Layer, gain: FloatImage, skin: Skin, *, strength: float = 1.0) -> None:
    """Paints light and shade on skin."""
    dark, bright = np.clip(-gain, 0, 1), np.clip(gain, 0, 1)
    layer.onto(np.clip(dark / 0.34, 0, 1), skin.shade, 0.85 * strength)
    layer.onto(np.clip((dark - 0.26) / 0.5, 0, 1), skin.deep, 0.8 * strength)
    layer.onto(np.clip(bright / 0.24, 0, 1), skin.light, 0.75 * strength)
