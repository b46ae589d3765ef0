"""Draws the mouth: lips cut along their inner line; teeth, tongue and dark behind them.

Flat shapes are drawn enlarged and reduced, so that their edges are smooth; soft light is added at
the final size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.package import Mouth
from services.avatar.parameters import MouthShape
from services.avatar.rendering.brush import Brush, FloatImage, Region, Sprite, bgr

GAP_AT_FULL_JAW = 0.74
"""The opening between the lips at jaw = 1, in half widths of the mouth."""

_CAVITY = bgr("#3a1216")
_CAVITY_DEEP = bgr("#1f090c")
_TEETH = bgr("#f4eee6")
_LOWER_TEETH = bgr("#d9cfc6")
_TEETH_GAP = bgr("#d8cdc4")
_TONGUE = bgr("#9c464b")
_U = np.linspace(-1, 1, 49)
_SHADE = 0.42
_STEPS = 250
"""Parameters are drawn to a 250th: a tenth of a pixel of the lips at 512 pixels."""
_KEPT_SPRITES = 48
"""Mouths that are held, above all the closed one, are drawn once."""


@dataclass(frozen=True, slots=True)
class _Lips:
    """The four edges of the lips, shape (49, 2), and their measures, in canvas units."""

    upper_outer: NDArray[np.float64]
    upper_inner: NDArray[np.float64]
    lower_inner: NDArray[np.float64]
    lower_outer: NDArray[np.float64]
    half_width: float
    gap: float


class MouthPainter:
    """Draws mouths over the skin of one scene."""

    def __init__(self, mouth: Mouth, *, scale: float, origin: tuple[float, float]) -> None:
        self._mouth = mouth
        x, y = mouth.centre
        w = mouth.half_width
        self._brush = Brush(
            Region.around(
                (x - 1.6 * w, y - 0.9 * w, x + 1.6 * w, y + 1.75 * w), scale=scale, origin=origin
            )
        )
        self._sprite = lru_cache(_KEPT_SPRITES)(self._draw)
        self._upper, self._lower = bgr(mouth.upper_colour), bgr(mouth.lower_colour)
        self._line, self._shadow = bgr(mouth.line_colour), bgr(mouth.shadow_colour)

    @property
    def region(self) -> Region:
        """The pixels that may be changed."""
        return self._brush.region

    def paint(self, picture: NDArray[np.uint8], shape: MouthShape) -> None:
        """Paints a mouth onto a picture of shape (height, width, 3 or more) in place."""
        values = (shape.jaw, shape.width, shape.rounding, shape.press, shape.tuck, shape.tongue)
        mouth, rest = self._sprite(*(round(value * _STEPS) for value in values))
        skin = self._brush.region.cut(picture)
        skin[..., :3] = skin[..., :3] * rest + mouth

    def _draw(self, *steps: int) -> Sprite:
        shape = MouthShape(*(value / _STEPS for value in steps))
        lips = self._lips(shape)
        brush = self._brush
        colour, cover = brush.begin()
        brush.fill(colour, cover, _ring(lips.upper_outer, lips.lower_outer), self._lower)
        brush.fill(colour, cover, _ring(lips.upper_outer, _middle(lips)), self._upper)
        if lips.gap > 0.15:
            self._draw_inside(colour, lips, shape)
            brush.fill(colour, cover, _ring(lips.upper_outer, lips.upper_inner), self._upper)
            brush.fill(colour, cover, _ring(lips.lower_inner, lips.lower_outer), self._lower)
        thickness = 0.045 * self._mouth.half_width
        brush.stroke(colour, cover, lips.upper_inner, self._line, thickness, taper=0.3)
        if lips.gap > 1:
            brush.stroke(colour, cover, lips.lower_inner, self._line, 0.5 * thickness, taper=0.3)
        mouth, alpha = brush.finish(colour, cover)
        self._light(mouth, lips, shape)
        shade = self._shade_below(lips)
        shadow = np.array(self._shadow, np.float32) * shade
        return mouth * alpha + shadow * (1 - alpha) + np.float32(0.5), (1 - shade) * (1 - alpha)

    def _lips(self, shape: MouthShape) -> _Lips:
        mouth = self._mouth
        x0, y0 = mouth.centre
        half = mouth.half_width * (
            1 + 0.15 * shape.width - 0.36 * shape.rounding - 0.04 * shape.jaw
        )
        gap = GAP_AT_FULL_JAW * mouth.half_width * shape.jaw * (1 - 0.2 * shape.width)
        gap *= 1 - min(1.0, shape.press)
        u = _U
        x = x0 + half * u
        smile = mouth.half_width * (0.19 + 0.03 * shape.width - 0.07 * shape.rounding)
        base = y0 - smile * np.abs(u) ** 2.2 + 0.16 * gap * np.abs(u) ** 1.5
        base = base + 0.014 * mouth.half_width * np.cos(u * math.pi * 2) * (1 - np.abs(u))
        arch = (1 - np.abs(u) ** 2.3) ** (0.62 + 0.1 * shape.rounding)
        raised = 0.2 * gap + 0.10 * mouth.half_width * shape.tuck
        upper_inner = base - raised * arch
        lower_inner = base + (0.8 * gap - 0.05 * mouth.half_width * shape.tuck) * arch
        lower_inner = np.maximum(lower_inner, upper_inner)
        thin = 1 - 0.5 * shape.press
        bow = (
            1
            - 0.2 * np.exp(-((u / 0.13) ** 2))
            + 0.08 * np.exp(-(((np.abs(u) - 0.25) / 0.16) ** 2))
        )
        taper_up = (1 - np.abs(u) ** 1.9) ** 0.95
        upper = mouth.upper_lip * thin * (1 + 0.25 * shape.rounding - 0.16 * shape.jaw)
        taper_low = (1 - np.abs(u) ** 2.2) ** 0.8
        lower = mouth.lower_lip * thin * (1 + 0.2 * shape.rounding - 0.14 * shape.jaw)
        lower *= 1 - 0.45 * shape.tuck
        return _Lips(
            upper_outer=np.column_stack([x, upper_inner - upper * taper_up * bow]),
            upper_inner=np.column_stack([x, upper_inner]),
            lower_inner=np.column_stack([x, lower_inner]),
            lower_outer=np.column_stack([x, lower_inner + lower * taper_low]),
            half_width=half,
            gap=float(np.max(lower_inner - upper_inner)),
        )

    def _draw_inside(self, colour: NDArray[np.uint8], lips: _Lips, shape: MouthShape) -> None:
        """Upper teeth stay with the skull, lower teeth and tongue move with the jaw."""
        brush, mouth = self._brush, self._mouth
        x0, y0 = mouth.centre
        w, half = mouth.half_width, lips.half_width
        floor = float(lips.lower_inner[len(_U) // 2, 1])
        roof = float(lips.upper_inner[len(_U) // 2, 1])
        inside = brush.mask(_ring(lips.upper_inner, lips.lower_inner))
        layer = brush.blank(_CAVITY)
        brush.ellipse(layer, (x0, (roof + floor) / 2), (0.75 * half, 0.38 * lips.gap), _CAVITY_DEEP)
        lower_edge = floor - 0.16 * w * min(1.0, lips.gap / (0.5 * w))
        brush.fill(layer, None, _arc(x0, lower_edge, 0.62 * half, 0.4 * w, 0.05 * w), _LOWER_TEETH)
        rise = shape.tongue * max(0.0, floor - y0 - 0.05 * w)
        tongue = (x0, floor + 0.02 * w - 0.75 * rise)
        brush.ellipse(
            layer, tongue, (0.56 * half, 0.17 * w + 0.12 * lips.gap + 0.5 * rise), _TONGUE
        )
        edge = y0 + 0.085 * w
        reach = (0.84 - 0.16 * shape.rounding) * half
        brush.fill(layer, None, _arc(x0, edge, reach, -0.7 * w, -0.09 * w), _TEETH)
        for k in range(-3, 4):
            x = x0 + k * 0.235 * w
            line = np.array([(x, roof - 1), (x, edge - 0.1 * w * (k / 4) ** 2)])
            brush.stroke(layer, None, line, _TEETH_GAP, 0.02 * w, taper=1)
        cv2.copyTo(layer, inside, colour)

    def _shade_below(self, lips: _Lips) -> FloatImage:
        """How dark the skin is below the lower lip: the shadow goes where the lip goes."""
        x0, w = self._mouth.centre[0], self._mouth.half_width
        bottom = float(lips.lower_outer[len(_U) // 2, 1])
        mask = self._brush.soft_ellipse(
            (x0, bottom + 0.17 * w), (0.62 * lips.half_width, 0.13 * w), 0.12 * w
        )
        return mask[..., None] * np.float32(_SHADE)

    def _light(self, mouth: NDArray[np.float32], lips: _Lips, shape: MouthShape) -> None:
        """A soft gleam on the lips, shade at their edge, the upper lip's shadow within."""
        brush, w, x0 = self._brush, self._mouth.half_width, self._mouth.centre[0]
        middle = len(_U) // 2
        top, bottom = float(lips.lower_inner[middle, 1]), float(lips.lower_outer[middle, 1])
        gleam = brush.soft_ellipse(
            (x0 - 0.12 * w, top + 0.45 * (bottom - top)),
            (0.34 * lips.half_width, 0.2 * (bottom - top)),
            0.055 * w,
        )
        brush.blend(mouth, gleam, bgr("#ffd9cf"), 0.5 * (1 - 0.5 * shape.press))
        shade = brush.soft_ellipse((x0, bottom), (0.6 * lips.half_width, 0.05 * w), 0.05 * w)
        brush.blend(mouth, shade, self._line, 0.22)
        peak = float(lips.upper_outer[middle, 1])
        roof = float(lips.upper_inner[middle, 1])
        glow = brush.soft_ellipse(
            (x0, peak + 0.2 * (roof - peak)), (0.4 * lips.half_width, 0.03 * w), 0.05 * w
        )
        brush.blend(mouth, glow, bgr("#e79a90"), 0.45)
        if lips.gap > 1:
            dark = brush.soft_ellipse(
                (x0, roof + 0.03 * w), (0.9 * lips.half_width, 0.05 * w), 0.06 * w
            )
            brush.blend(mouth, dark, _CAVITY, 0.45 * min(1.0, lips.gap / 5))


def _ring(upper: NDArray[np.float64], lower: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([upper, lower[::-1]])


def _middle(lips: _Lips) -> NDArray[np.float64]:
    return (lips.upper_inner + lips.lower_inner) / 2


def _arc(x: float, edge: float, reach: float, depth: float, bend: float) -> NDArray[np.float64]:
    """A row of teeth: its free edge is bent, the other edge lies `depth` away (negative: above)."""
    u = np.linspace(-1, 1, 25)
    free = np.column_stack([x + reach * u, edge + bend * np.abs(u) ** 2.5])
    root = np.column_stack([x + reach * u, np.full_like(u, edge + depth)])
    return np.vstack([free, root[::-1]])
