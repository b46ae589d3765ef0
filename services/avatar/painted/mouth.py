"""Draws the mouth: lips cut along their inner line, with teeth, tongue and cavity behind them.

Flat shapes are drawn enlarged and reduced to smooth their edges; soft light is added at the final
size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.avatar.animation.parameters import MouthShape
from services.avatar.painted.brush import Brush, Planes, Region, Sprite, Wash, bgr, ribbon
from services.avatar.painted.package import Mouth

GAP_AT_FULL_JAW = 0.66
"""The opening between the lips at jaw = 1, in half widths of the mouth."""

_CAVITY = bgr("#3d1517")
_SHADOW = bgr("#6a3a30")
"""Of the upper lip on the teeth: light that has passed through skin is warm."""
_DEEP = bgr("#260b0e")
_TEETH = bgr("#f1ebe3")
_LOWER_TEETH = bgr("#cfc3ba")
_TEETH_SHADE = bgr("#cbbdb1")
_TONGUE = bgr("#a34d50")
_TONGUE_LIGHT = bgr("#cf8381")
_GLEAM = bgr("#ffdcd0")
_SKIN_LIGHT = bgr("#ffe6d4")
_TOOTH = 0.25
"""The width of a front tooth, in half widths of the mouth."""
_LEAST_GAP = 0.15
_U = np.linspace(-1, 1, 49)
_STEPS = 250
"""Parameters are quantised to 1/250: a tenth of a pixel of the lips at 512 pixels."""
_KEPT_SPRITES = 48
"""Mouths that are held, above all the closed one, are drawn once."""


@dataclass(frozen=True, slots=True)
class _Lips:
    """The four edges of the lips, shape (49, 2), and their dimensions, in canvas units."""

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
                (x - 1.35 * w, y - 0.6 * w, x + 1.35 * w, y + 1.6 * w), scale=scale, origin=origin
            )
        )
        self._sprite = lru_cache(_KEPT_SPRITES)(self._draw)
        self._upper, self._lower = bgr(mouth.upper_colour), bgr(mouth.lower_colour)
        self._line, self._shadow = bgr(mouth.line_colour), bgr(mouth.shadow_colour)

    @property
    def region(self) -> Region:
        """The pixels that `paint` may change."""
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
        brush, w = self._brush, self._mouth.half_width
        wash = Wash(brush)
        self._shade_skin(wash, lips, shape)
        colour = brush.plain(self._lower)
        upper = _ring(lips.upper_outer - (0, 0.2 * w), _middle(lips))
        brush.blend(colour, brush.soft(upper, blur=0.012 * w), self._upper, 1)
        self._light_lips(colour, lips, shape)
        wash.lay(colour, brush.soft(_ring(lips.upper_outer, lips.lower_outer), blur=0.012 * w))
        if lips.gap > _LEAST_GAP:
            self._lay_inside(wash, lips, shape)
        line = brush.soft(ribbon(lips.upper_inner, 0.04 * w, taper=0.5), blur=0.008 * w)
        wash.over(line, self._line, 0.85)
        return wash.sprite()

    def _lips(self, shape: MouthShape) -> _Lips:
        mouth = self._mouth
        x0, y0 = mouth.centre
        w = mouth.half_width
        half = w * (1 + 0.13 * shape.width - 0.36 * shape.rounding - 0.07 * shape.jaw)
        gap = GAP_AT_FULL_JAW * w * shape.jaw * (1 - 0.2 * shape.width)
        gap *= 1 - min(1.0, shape.press)
        u = np.abs(_U)
        x = x0 + half * _U
        smile = w * (mouth.smile + 0.05 * shape.width - 0.05 * shape.rounding)
        base = y0 - smile * (0.55 * u**1.8 + 0.45 * u**4) + 0.3 * gap * u**2
        base = base + 0.018 * w * np.cos(_U * math.pi * 2) * (1 - u) * (1 - min(1.0, gap / 8))
        arch = (1 - u**2.2) ** (0.8 - 0.12 * shape.rounding)
        flat = (1 - u**2.6) ** 0.75
        upper_inner = base - (0.16 * gap + 0.10 * w * shape.tuck) * flat
        lower_inner = base + (0.84 * gap - 0.05 * w * shape.tuck) * arch
        lower_inner = np.maximum(lower_inner, upper_inner)
        thin = 1 - 0.42 * shape.press
        bow = 1 - 0.17 * np.exp(-((_U / 0.11) ** 2)) + 0.07 * np.exp(-(((u - 0.24) / 0.16) ** 2))
        upper = mouth.upper_lip * thin * (1 + 0.25 * shape.rounding - 0.2 * shape.jaw)
        lower = mouth.lower_lip * thin * (1 + 0.2 * shape.rounding - 0.2 * shape.jaw)
        lower *= 1 - 0.45 * shape.tuck
        return _Lips(
            upper_outer=np.column_stack([x, upper_inner - upper * (1 - u**1.7) ** 1.1 * bow]),
            upper_inner=np.column_stack([x, upper_inner]),
            lower_inner=np.column_stack([x, lower_inner]),
            lower_outer=np.column_stack([x, lower_inner + lower * (1 - u**2.1) ** 0.95]),
            half_width=half,
            gap=float(np.max(lower_inner - upper_inner)),
        )

    def _lay_inside(self, wash: Wash, lips: _Lips, shape: MouthShape) -> None:
        """Upper teeth stay with the skull; lower teeth and tongue follow the jaw."""
        brush, w, half = self._brush, self._mouth.half_width, lips.half_width
        x0, y0 = self._mouth.centre
        floor = float(lips.lower_inner[len(_U) // 2, 1])
        colour = brush.plain(_CAVITY)
        lower_edge = floor - 0.1 * w * min(1.0, lips.gap / (0.6 * w))
        lower_row = _arc(x0, lower_edge, 0.6 * half, 0.4 * w, 0.06 * w)
        brush.blend(colour, brush.soft(lower_row, blur=0.014 * w), _LOWER_TEETH, 1)
        rise = shape.tongue * max(0.0, floor - y0 - 0.05 * w)
        tongue = (x0, floor + 0.03 * w - 0.75 * rise)
        radii = (0.62 * half, 0.15 * w + 0.12 * lips.gap + 0.5 * rise)
        edge = y0 + 0.085 * w + 0.04 * w * shape.jaw
        reach = (0.86 - 0.16 * shape.rounding) * half
        middle = (x0, floor - 0.62 * lips.gap)
        deep = brush.glow(middle, radii=(0.7 * half, 0.3 * lips.gap), blur=0.1 * lips.gap)
        brush.blend(colour, deep, _DEEP, 0.9)
        brush.blend(colour, brush.soft_ellipse(tongue, radii=radii, blur=0.035 * w), _TONGUE, 1)
        gleam = (tongue[0] - 0.1 * w, tongue[1] - 0.55 * radii[1])
        wet = brush.glow(gleam, radii=(0.5 * radii[0], 0.22 * radii[1]), blur=0.08 * w)
        brush.blend(colour, wet, _TONGUE_LIGHT, 0.45)
        row = brush.soft(_upper_teeth(x0, edge, reach, w), blur=0.014 * w)
        brush.blend(colour, row, _TEETH, 1)
        self._shade_inside(colour, lips, (x0, edge))
        opening = _ring(lips.upper_inner, lips.lower_inner)
        wash.lay(colour, brush.soft(opening, blur=0.006 * w))

    def _shade_inside(
        self,
        colour: Planes,
        lips: _Lips,
        teeth: tuple[float, float],
    ) -> None:
        """Adds soft light: teeth fade into the corners, the lips cast their shadow inside."""
        brush, w, half, x0 = self._brush, self._mouth.half_width, lips.half_width, teeth[0]
        roof = float(lips.upper_inner[len(_U) // 2, 1])
        top, edge = teeth[1] - 0.3 * w, teeth[1] - 0.1 * w
        places = [x0 + k * _TOOTH * w * (1 - 0.035 * abs(k)) for k in range(-2, 3)]
        seams = [ribbon(np.array([(x, top), (x, edge)]), 0.02 * w, taper=1) for x in places]
        brush.blend(colour, brush.soft(*seams, blur=0.01 * w), _TEETH_SHADE, 0.3)
        (left, y), (right, _) = lips.upper_inner[[0, -1]]
        radii = (0.3 * half, 0.3 * w)
        corners = brush.glow((left, y), (right, y), radii=radii, blur=0.25 * half)
        brush.blend(colour, corners, _CAVITY, 0.62)
        above = lips.upper_inner - (0, -0.05 * w - 0.06 * lips.gap)
        shadow = _ring(lips.upper_inner - (0, 0.3 * w), above)
        depth = 0.2 + 0.4 * min(1.0, 2 * lips.gap / w)
        brush.blend(colour, brush.soft(shadow, blur=0.05 * w), _SHADOW, depth)
        low = brush.glow((x0, roof + lips.gap), radii=(0.8 * half, 0.03 * w), blur=0.06 * w)
        brush.blend(colour, low, _SHADOW, 0.35)

    def _shade_skin(self, wash: Wash, lips: _Lips, shape: MouthShape) -> None:
        """Shades the skin around the lips; the shadows move with the lips."""
        brush, w = self._brush, self._mouth.half_width
        x0 = self._mouth.centre[0]
        bottom = float(lips.lower_outer[len(_U) // 2, 1])
        under = brush.soft_ellipse(
            (x0, bottom + 0.15 * w), radii=(0.55 * lips.half_width, 0.11 * w), blur=0.12 * w
        )
        wash.over(under, self._shadow, 0.4)
        (left, y), (right, _) = lips.upper_inner[[0, -1]]
        y -= 0.01 * w
        dimples = brush.glow(
            (left - 0.03 * w, y), (right + 0.03 * w, y), radii=(0.07 * w, 0.09 * w), blur=0.06 * w
        )
        wash.over(dimples, self._shadow, 0.55 + 0.2 * shape.width)
        rim = lips.upper_outer[8:-8] - (0, 0.035 * w)
        light = brush.soft(ribbon(rim, 0.06 * w, taper=0.2), blur=0.035 * w)
        wash.over(light, _SKIN_LIGHT, 0.3)

    def _light_lips(self, mouth: Planes, lips: _Lips, shape: MouthShape) -> None:
        """Adds a soft highlight to the lower lip and shade towards its line, edge and corners."""
        brush, w, x0 = self._brush, self._mouth.half_width, self._mouth.centre[0]
        middle = len(_U) // 2
        top, bottom = float(lips.lower_inner[middle, 1]), float(lips.lower_outer[middle, 1])
        peak, roof = (float(edge[middle, 1]) for edge in (lips.upper_outer, lips.upper_inner))
        dark = brush.soft(ribbon(lips.upper_inner, 0.12 * w, taper=0.5), blur=0.05 * w)
        brush.blend(mouth, dark, self._line, 0.4)
        (left, y), (right, _) = lips.upper_inner[[0, -1]]
        radii = (0.22 * lips.half_width, 0.25 * w)
        side = brush.glow((left, y), (right, y), radii=radii, blur=0.2 * lips.half_width)
        brush.blend(mouth, side, self._line, 0.3)
        edge = brush.soft(ribbon(lips.lower_outer, 0.1 * w, taper=0.6), blur=0.05 * w)
        brush.blend(mouth, edge, self._line, 0.22)
        thick = bottom - top
        gleam = brush.glow(
            (x0 - 0.1 * w, top + 0.42 * thick),
            radii=(0.4 * lips.half_width, 0.13 * thick),
            blur=0.08 * w,
        )
        brush.blend(mouth, gleam, _GLEAM, self._mouth.gleam * (1 - 0.4 * shape.press))
        aside, y = 0.2 * lips.half_width, peak + 0.3 * (roof - peak)
        crests = brush.glow(
            (x0 - aside, y),
            (x0 + aside, y),
            radii=(0.16 * lips.half_width, 0.02 * w),
            blur=0.05 * w,
        )
        brush.blend(mouth, crests, _GLEAM, 0.5 * self._mouth.gleam)


def _ring(upper: NDArray[np.float64], lower: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([upper, lower[::-1]])


def _middle(lips: _Lips) -> NDArray[np.float64]:
    return (lips.upper_inner + lips.lower_inner) / 2


def _upper_teeth(x: float, edge: float, reach: float, w: float) -> NDArray[np.float64]:
    """Returns the upper row: its free edge curves upwards to the sides and is lightly notched."""
    u = np.linspace(-1, 1, 97)
    notch = np.abs(np.sin(np.pi * u * reach / (_TOOTH * w))) ** 0.35
    free = edge - 0.11 * w * np.abs(u) ** 2.2 - 0.022 * w * (1 - notch)
    root = np.column_stack([x + reach * u, np.full_like(u, edge - 0.7 * w)])
    return np.vstack([np.column_stack([x + reach * u, free]), root[::-1]])


def _arc(x: float, edge: float, reach: float, depth: float, bend: float) -> NDArray[np.float64]:
    """Returns a row of teeth: a curved free edge, the other `depth` away (negative: above)."""
    u = np.linspace(-1, 1, 25)
    free = np.column_stack([x + reach * u, edge + bend * np.abs(u) ** 2.5])
    root = np.column_stack([x + reach * u, np.full_like(u, edge + depth)])
    return np.vstack([free, root[::-1]])
