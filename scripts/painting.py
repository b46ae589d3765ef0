"""Brushes for images painted by code: smooth lines, soft masks, layers with coverage.

Everything is drawn at four times the nominal 512 x 512 and reduced, so edges are smooth.
Lengths and coordinates are in units of the nominal canvas.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
Points = Sequence[tuple[float, float]]

CANVAS = 512
SUPERSAMPLING = 4
STORED_SCALE = 2
SIZE = CANVAS * SUPERSAMPLING


def bgr(colour: str) -> FloatImage:
    """Converts "rrggbb" to three floats 0..1 in OpenCV's channel order."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return np.array([blue, green, red], np.float32)


def smooth(points: Points, *, closed: bool = False, steps: int = 24) -> NDArray[np.float64]:
    """Returns a Catmull-Rom spline through the points, in canvas units, shape (n, 2)."""
    p = np.asarray(points, float)
    if closed:
        p = np.vstack([p[-1], p, p[:2]])
    else:
        p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
        parts.append(
            0.5
            * (
                2 * b
                + (c - a) * t
                + (2 * a - 5 * b + 4 * c - d) * t**2
                + (3 * b - a - 3 * c + d) * t**3
            )
        )
    if not closed:
        parts.append(p[-2][None])
    return np.vstack(parts)


def mirrored(half: Points, centre: float = 256) -> list[tuple[float, float]]:
    """Completes an outline from its right half, which runs from top to bottom on the axis."""
    left = [(2 * centre - x, y) for x, y in reversed(half[1:-1])]
    return [*half, *left]


def fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Converts canvas units to OpenCV's fixed-point pixels with four fractional bits."""
    return np.round(points * SUPERSAMPLING * 16).astype(np.int32)


def filled(points: NDArray[np.float64], *, blur: float = 0) -> FloatImage:
    """Returns the coverage 0..1 of a polygon; blur is the Gaussian's sigma in canvas units."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(mask, [fixed(points)], 255, cv2.LINE_AA, 4)
    return softened(np.asarray(mask / np.float32(255), np.float32), blur)


def stroked(
    points: NDArray[np.float64], width: float, *, taper: bool = True, blur: float = 0
) -> FloatImage:
    """Returns the coverage of a brush stroke; with taper it thins towards both ends."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    draw_stroke(mask, points, width, 1, taper=taper)
    return softened(np.asarray(mask / np.float32(255), np.float32), blur)


def draw_stroke(
    mask: NDArray[np.uint8],
    points: NDArray[np.float64],
    width: float,
    opacity: float,
    *,
    taper: bool = True,
) -> None:
    """Draws a brush stroke into a coverage mask in place."""
    lines = fixed(points)
    for i, (a, b) in enumerate(pairwise(lines)):
        u = (i + 0.5) / (len(lines) - 1)
        here = width * (np.sin(np.pi * u) ** 0.6 if taper else 1)
        thickness = max(1, round(here * SUPERSAMPLING))
        cv2.line(mask, a.tolist(), b.tolist(), round(255 * opacity), thickness, cv2.LINE_AA, 4)


def blob(x: float, y: float, rx: float, ry: float, blur: float, angle: float = 0) -> FloatImage:
    """Returns the coverage of a soft ellipse."""
    t = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return filled(
        (turn @ np.array([rx * np.cos(t), ry * np.sin(t)])).T + np.array((x, y)), blur=blur
    )


def softened(mask: FloatImage, blur: float) -> FloatImage:
    """Blurs a mask; a wide blur is computed on a smaller image: the same result, faster."""
    if blur == 0:
        return mask
    factor = max(1, int(blur * SUPERSAMPLING / 4))
    small = cv2.resize(mask, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), blur * SUPERSAMPLING / factor)
    return np.asarray(cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR), np.float32)


def ramp(low: float, high: float, *, axis: int) -> FloatImage:
    """Returns a smooth step 0..1 from low to high along x (axis 1) or y (axis 0), canvas units."""
    t = np.clip((np.arange(SIZE, dtype=np.float32) / SUPERSAMPLING - low) / (high - low), 0, 1)
    t = t * t * (3 - 2 * t)
    return np.broadcast_to(t[:, None] if axis == 0 else t[None], (SIZE, SIZE)).astype(np.float32)


class Layer:
    """An image with coverage, premultiplied while it is painted."""

    def __init__(self) -> None:
        self.colour: FloatImage = np.zeros((SIZE, SIZE, 3), np.float32)
        self.alpha: FloatImage = np.zeros((SIZE, SIZE), np.float32)

    def over(self, mask: FloatImage, colour: str, opacity: float = 1) -> None:
        """Paints and adds coverage."""
        cover = mask * opacity
        self.colour = self.colour * (1 - cover[..., None]) + bgr(colour) * cover[..., None]
        self.alpha = self.alpha + (1 - self.alpha) * cover

    def onto(self, mask: FloatImage, colour: str, opacity: float = 1) -> None:
        """Paints only where there is already some coverage."""
        cover = (mask * opacity)[..., None]
        self.colour = self.colour * (1 - cover) + bgr(colour) * cover * self.alpha[..., None]

    def save(self, path: Path, *, opaque: bool = False) -> None:
        """Writes the reduced layer as a PNG with straight alpha."""
        side = CANVAS * (1 if opaque else STORED_SCALE)
        colour = cv2.resize(self.colour, (side, side), interpolation=cv2.INTER_AREA)
        if opaque:
            grain = np.random.default_rng(1).uniform(-0.5, 0.5, colour.shape)
            cv2.imwrite(str(path), np.clip(colour * 255 + 0.5 + grain, 0, 255).astype(np.uint8))
            return
        alpha = cv2.resize(self.alpha, (side, side), interpolation=cv2.INTER_AREA)[..., None]
        straight = np.where(alpha > 1e-3, colour / np.maximum(alpha, 1e-3), 0)
        pixels = np.dstack([straight, np.where(alpha > 1e-3, alpha, 0)])
        cv2.imwrite(str(path), np.clip(pixels * 255 + 0.5, 0, 255).astype(np.uint8))


def resampled(line: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Returns the same line with points at equal distances."""
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, line[:, 0]), np.interp(at, along, line[:, 1])], axis=1)
