"""Parts that both painted portraits need: hair, brows, irises, nostrils, neck, a room."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from scripts.painting import (
    SIZE,
    SUPERSAMPLING,
    FloatImage,
    Layer,
    Points,
    bgr,
    blob,
    draw_stroke,
    filled,
    mirrored,
    ramp,
    resampled,
    smooth,
    softened,
    stroked,
)
from scripts.relief import Skin

_ALONG = 160


@dataclass(frozen=True, kw_only=True)
class Tones:
    """The colours of hair."""

    base: str
    dark: str
    light: str
    shine: str


def lock_of_hair(
    layer: Layer,
    inner: Points,
    outer: Points,
    tones: Tones,
    *,
    seed: int,
    strands: int,
    wave: float = 0.0,
    shine_at: float = 0.2,
    loose: float = 6.0,
) -> FloatImage:
    """Paints hair between two edges that both run from root to tip; returns its coverage.

    Args:
        layer: The layer to paint on.
        inner: One edge.
        outer: The other edge.
        tones: The colours.
        seed: The seed of the random numbers, for repeatable results.
        strands: The number of fine hairs.
        wave: The amplitude of the waves, in widths of the lock.
        shine_at: The position of the highlight, 0 root to 1 tip; below 0: none.
        loose: How far loose hairs extend beyond the tip, in canvas units.
    """
    comb = _Comb(inner, outer, wave, np.random.default_rng(seed))
    mask = softened(comb.outline(), 0.45)
    stray = np.zeros((SIZE, SIZE), np.uint8)
    for _ in range(strands // 8):
        draw_stroke(stray, comb.tip(loose), comb.random.uniform(0.5, 1.1), 0.7)
    mask = np.maximum(mask, _coverage(stray, 0.3))
    layer.over(mask, tones.base)
    for tone, count, opacity in ((tones.dark, 22, 0.5), (tones.light, 16, 0.34)):
        layer.onto(mask * comb.clumps(count), tone, opacity)
    fine = {tones.dark: (0.12, 0.4), tones.light: (0.1, 0.34)}
    for tone, (least, most) in fine.items():
        shade = np.zeros((SIZE, SIZE), np.uint8)
        for _ in range(strands // 2):
            start = comb.random.uniform(0, 0.75)
            stop = start + comb.random.uniform(0.2, 0.6)
            line = comb.strand(comb.random.uniform(0.01, 0.99), start, min(stop, 1))
            opacity = comb.random.uniform(least, most)
            draw_stroke(shade, line, comb.random.uniform(0.4, 1.3), opacity)
        layer.onto(mask * _coverage(shade, 0.2), tone)
    if shine_at >= 0:
        layer.onto(mask * comb.shine(shine_at, strands), tones.shine)
    return np.asarray(mask, np.float32)


class _Comb:
    """The flow of a lock: lines from root to tip at any place u between its edges, 0 to 1."""

    def __init__(
        self, inner: Points, outer: Points, wave: float, random: np.random.Generator
    ) -> None:
        self.random = random
        self._a, self._b = (resampled(smooth(edge, steps=30), _ALONG) for edge in (inner, outer))
        self._t = np.linspace(0, 1, _ALONG)
        self._wave = wave

    def outline(self) -> FloatImage:
        """Returns the lock's coverage; near the tip it parts into strands of different lengths."""
        n = round(0.86 * _ALONG)
        mask = filled(np.vstack([self._line(0.0)[:n], self._line(1.0)[:n][::-1]]))
        edges = np.concatenate([[0], np.sort(self.random.uniform(0.04, 0.96, 15)), [1]])
        for left, right in pairwise(edges):
            last = round(self.random.uniform(0.94, 1.0) * _ALONG)
            thin = 1 - np.clip((np.arange(n - 6, last) - n) / (last - n), 0, 1) ** 2.2
            middle, half = (left + right) / 2, (right - left) / 2 + 0.012
            one, other = (self._between(middle + k * half * thin, n - 6, last) for k in (-1, 1))
            mask = np.maximum(mask, filled(np.vstack([one, other[::-1]])))
        return np.asarray(mask, np.float32)

    def strand(self, u: float, start: float, stop: float) -> NDArray[np.float64]:
        i, j = round(start * (_ALONG - 1)), round(stop * (_ALONG - 1)) + 1
        bend = 0.025 * np.sin(2 * np.pi * (self._t * self.random.uniform(0.4, 1.0)))
        return self._line(u + bend * self.random.normal())[i : max(j, i + 4)]

    def tip(self, loose: float) -> NDArray[np.float64]:
        """Returns a hair at the tip, a little longer or shorter than the others."""
        line = self._line(self.random.uniform(0, 1))[-26:]
        step = (line[-1] - line[-8]) / max(1e-6, float(np.hypot(*(line[-1] - line[-8]))))
        bend = np.array([-step[1], step[0]]) * self.random.normal(0, 0.25)
        far = self.random.uniform(-0.4, 1) * loose
        reach = np.linspace(0, 1, 8)[1:, None]
        return np.vstack([line[:-6], line[-6] + (step + bend * reach) * reach * (far + 6)])

    def clumps(self, count: int) -> FloatImage:
        """Returns wide soft strips that thin out at both ends."""
        shade = np.zeros((SIZE, SIZE), np.float32)
        for _ in range(count):
            u, half = self.random.uniform(0, 1), self.random.uniform(0.015, 0.06)
            i = int(self.random.integers(0, _ALONG // 2))
            j = min(_ALONG, i + int(self.random.integers(_ALONG // 3, _ALONG)))
            thin = np.sin(np.linspace(0, np.pi, j - i)) ** 0.7 * half
            one, other = (self._between(u + sign * thin, i, j) for sign in (-1, 1))
            strip = filled(np.vstack([one, other[::-1]]))
            shade = np.maximum(shade, strip * np.float32(self.random.uniform(0.4, 1)))
        return softened(shade, 1.1)

    def shine(self, at: float, strands: int) -> FloatImage:
        """Returns a highlight across the lock, made of single hairs."""
        shade = np.zeros((SIZE, SIZE), np.uint8)
        for _ in range(strands):
            u = self.random.uniform(0.08, 0.92)
            middle = at + 0.03 * np.sin(u * 9) + self.random.normal(0, 0.02)
            half = self.random.uniform(0.03, 0.11)
            line = self.strand(u, max(0.0, middle - half), min(1.0, middle + half))
            opacity = self.random.uniform(0.08, 0.4) * np.sin(np.pi * u) ** 0.7
            draw_stroke(shade, line, self.random.uniform(0.5, 1.6), float(opacity))
        return _coverage(shade, 0.5)

    def _line(self, u: float | NDArray[np.float64]) -> NDArray[np.float64]:
        return self._between(np.broadcast_to(u, (_ALONG,)), 0, _ALONG)

    def _between(self, u: NDArray[np.float64], i: int, j: int) -> NDArray[np.float64]:
        t = self._t[i:j]
        sway = self._wave * np.sin(2 * np.pi * (1.6 * t - 0.25)) * np.clip((t - 0.25) * 2, 0, 1)
        w = (u + sway)[:, None]
        return np.asarray(self._a[i:j] * (1 - w) + self._b[i:j] * w)


def _coverage(mask: NDArray[np.uint8], blur: float) -> FloatImage:
    return softened(np.asarray(mask / np.float32(255), np.float32), blur)


def _paint_brow(
    layer: Layer, spine: Points, tones: Tones, *, side: int, thickness: float, seed: int
) -> None:
    """Paints an eyebrow on one side (-1 left, 1 right); the spine's x counts from the middle."""
    line = resampled(smooth([(256 + side * x, y) for x, y in spine]), 80)
    u = np.linspace(0, 1, 80)
    half = thickness * np.minimum(1, (0.55 + 2.4 * u)) * (1 - u**2.2) ** 0.9 / 2 + 0.25
    body = np.vstack([line - np.column_stack([0 * u, half]), (line + np.c_[0 * u, half])[::-1]])
    layer.over(filled(body, blur=1.1), tones.base, 0.78)
    random = np.random.default_rng(seed)
    hairs = np.zeros((SIZE, SIZE), np.uint8)
    along = np.gradient(line, axis=0)
    along /= np.hypot(*along.T)[:, None]
    for _ in range(120):
        i = int(random.integers(1, 74))
        root = line[i] + (0, random.uniform(-0.75, 0.95) * half[i])
        lift = (1.0 - 1.25 * u[i]) * random.uniform(0.5, 1.1)
        way = along[i] + np.array([0, -lift])
        way /= np.hypot(*way)
        length = random.uniform(4, 7.5) * (1 - 0.35 * u[i])
        bend = along[i] * 0.35 * length
        hair = smooth(
            [tuple(root), tuple(root + way * 0.6 * length), tuple(root + way * length + bend)]
        )
        draw_stroke(hairs, hair, random.uniform(0.5, 0.9), random.uniform(0.25, 0.6))
    layer.over(_coverage(hairs, 0.25), tones.dark, 0.8)


def paint_brows(spine: Points, tones: Tones, *, thickness: float, seed: int) -> Layer:
    """Paints both eyebrows; the spine's x counts from the middle of the face."""
    layer = Layer()
    for side in (-1, 1):
        _paint_brow(layer, spine, tones, side=side, thickness=thickness, seed=seed)
    return layer


def paint_neck(
    half: Points,
    skin: Skin,
    *,
    right: tuple[float, float, float],
    left: tuple[float, float, float],
    chin: tuple[float, float],
    under: tuple[float, float, float, float],
) -> Layer:
    """Paints a neck with the shadow of the chin on it.

    Args:
        half: The right half of its outline.
        skin: Its tones.
        right: The start and end of the shade on its right side, and its strength.
        left: The same for the left side.
        chin: The vertical range in which the shadow of the chin fades out; the end first.
        under: The centre and the radii of that shadow.
    """
    layer = Layer()
    layer.over(filled(smooth(mirrored(half), closed=True)), skin.base)
    for start, stop, strength in (right, left):
        layer.onto(ramp(start, stop, axis=1), skin.shade, strength)
    layer.onto(ramp(*chin, axis=0) * blob(*under, 10), skin.deep, 0.85)
    return layer


def shade_below_hair(
    head: Layer, hair: Layer, skin: Skin, *, down: int, blur: float, strength: float
) -> None:
    """Casts the shadow of hair onto a head, `down` canvas units below it and two to the right."""
    cast = np.roll(hair.alpha, (down * SUPERSAMPLING, 2 * SUPERSAMPLING), (0, 1))
    head.onto(softened(cast, blur), skin.deep, strength)


def paint_iris(outer: str, inner: str, ring: str) -> NDArray[np.uint8]:
    """Returns one iris with pupil, 128 x 128, BGRA; the renderer adds the reflection."""
    side = 512
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    dx, dy = (x - side / 2) / (side / 2), (y - side / 2) / (side / 2)
    r, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    fibres = 0.5 + 0.3 * np.sin(angle * 31 + 3 * np.sin(angle * 7)) + 0.2 * np.sin(angle * 57 + r)
    glow = np.clip(0.45 + 0.6 * dy - 0.15 * dx, 0, 1)
    mix = np.clip(glow * (0.55 + 0.6 * fibres) + 0.35 * np.exp(-(((r - 0.45) / 0.12) ** 2)), 0, 1)
    colour = bgr(outer) + (bgr(inner) - bgr(outer)) * mix[..., None]
    limbus = np.clip((r - 0.72) / 0.26, 0, 1) ** 1.3
    colour += (bgr(ring) - colour) * (0.85 * limbus)[..., None]
    colour *= np.clip((r - 0.35) / 0.07, 0.05, 1)[..., None]
    pixels = np.dstack([colour, np.clip((0.985 - r) / 0.09, 0, 1)])
    return cv2.resize(
        (pixels * 255).astype(np.uint8), (128, 128), interpolation=cv2.INTER_AREA
    ).astype(np.uint8)


def paint_nostrils(
    layer: Layer, *, y: float, apart: float, size: float, deep: str, dark: str
) -> None:
    """Paints nostrils and the soft edge of the wings; the nose itself is part of the relief."""
    for side in (-1, 1):
        hole = smooth(
            [
                (256 + side * (apart + 1.05 * size), y - 0.2 * size),
                (256 + side * (apart + 0.3 * size), y - 0.52 * size),
                (256 + side * (apart - 0.8 * size), y + 0.05 * size),
            ]
        )
        layer.onto(stroked(hole, 0.62 * size, blur=0.55), dark, 0.75)
        wing = smooth(
            [
                (256 + side * (apart + 1.5 * size), y - 2.1 * size),
                (256 + side * (apart + 2.15 * size), y - 0.9 * size),
                (256 + side * (apart + 1.5 * size), y + 0.05 * size),
            ]
        )
        layer.onto(stroked(wing, 2.2, blur=1.1), deep, 0.45)
    layer.onto(blob(256, y + 0.5 * size, apart + 0.7 * size, 0.55 * size, 2.2), deep, 0.4)


def paint_room(wall: str, light: str, shade: str, warm: str) -> Layer:
    """Returns a bright room, far out of focus."""
    layer = Layer()
    layer.over(np.ones((SIZE, SIZE), np.float32), wall)
    layer.onto(ramp(40, 560, axis=0), shade, 0.6)
    window = filled(np.array([[-20, -20], [150, -20], [140, 330], [-20, 350]], float), blur=26)
    layer.onto(window, light, 0.85)
    for x in (34, 96):
        layer.onto(
            filled(np.array([[x, -9], [x + 7, -9], [x + 7, 345], [x, 345]], float), blur=6),
            wall,
            0.4,
        )
    shelf = filled(np.array([[390, 120], [540, 126], [540, 420], [396, 400]], float), blur=16)
    layer.onto(shelf, shade, 0.55)
    for x, y, size, opacity in ((420, 170, 16, 0.5), (468, 185, 22, 0.45), (440, 290, 20, 0.4)):
        layer.onto(blob(x, y, size, 1.3 * size, 8), warm, opacity)
    layer.onto(blob(486, 300, 18, 26, 9), "6f8f78", 0.35)
    layer.onto(ramp(330, 520, axis=0), shade, 0.35)
    return layer
