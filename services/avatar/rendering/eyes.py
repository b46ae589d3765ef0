"""Draws an eye: white, iris, light, and the lid, which moves without the brow."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.package import Eyes, Layer
from services.avatar.rendering.brush import Brush, Region, Sprite, bgr

_WHITE = bgr("#f7f2ee")
_CORNER = bgr("#e3a493")
_LIGHT = bgr("#ffffff")
_U = np.linspace(-1, 1, 41)
_STEPS = 100
_KEPT_SPRITES = 48
"""Enough for every phase of a blink; an open eye is drawn once."""


class EyePainter:
    """Draws one eye over the skin of one scene."""

    def __init__(
        self, eyes: Eyes, iris: Layer, *, is_left: bool, scale: float, origin: tuple[float, float]
    ) -> None:
        self._eyes = eyes
        self._iris = iris
        self._centre = eyes.left if is_left else eyes.right
        self._outward = -1 if is_left else 1
        x, y = self._centre
        w = eyes.half_width
        self._brush = Brush(
            Region.around(
                (x - 1.5 * w, y - w, x + 1.5 * w, y + 0.75 * w), scale=scale, origin=origin
            )
        )
        self._sprite = lru_cache(_KEPT_SPRITES)(self._draw)
        self._lid, self._line = bgr(eyes.lid_colour), bgr(eyes.line_colour)

    @property
    def region(self) -> Region:
        """The pixels that may be changed."""
        return self._brush.region

    def paint(
        self, picture: NDArray[np.uint8], *, blink: float, gaze_x: float, gaze_y: float
    ) -> None:
        """Paints the eye onto a picture of shape (height, width, 3 or more) in place."""
        steps = (round(value * _STEPS) for value in (blink, gaze_x, gaze_y))
        eye, rest = self._sprite(*steps)
        skin = self._brush.region.cut(picture)
        skin[..., :3] = skin[..., :3] * rest + eye

    def _draw(self, blink_steps: int, gaze_x_steps: int, gaze_y_steps: int) -> Sprite:
        blink, gaze_x, gaze_y = (
            value / _STEPS for value in (blink_steps, gaze_x_steps, gaze_y_steps)
        )
        brush, eyes = self._brush, self._eyes
        w = eyes.half_width
        upper, lower = self._edges()
        lid = upper + (lower - (0, 0.02 * w) - upper) * blink
        colour, cover = brush.begin()
        if blink < 0.98:
            opening = np.vstack([lid, lower[::-1]])
            self._draw_ball(colour, opening, gaze_x, gaze_y)
            brush.cover(cover, opening)
        if blink > 0.01:
            brush.fill(colour, cover, np.vstack([upper, lid[::-1]]), self._lid)
        brush.stroke(colour, cover, lower, bgr("#9a6354"), 0.045 * w, taper=0.4)
        self._draw_lashes(colour, cover, lid, blink)
        eye, alpha = brush.finish(colour, cover)
        if blink < 0.98:
            self._shade(eye, lid)
        return eye * alpha + np.float32(0.5), 1 - alpha

    def _edges(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The edges of the open eye from the inner to the outer corner, each of shape (41, 2)."""
        eyes, (x0, y0) = self._eyes, self._centre
        x = x0 + self._outward * eyes.half_width * _U
        tilt = -0.07 * eyes.half_width * _U
        arch = (1 - np.abs(_U - 0.06 * (1 - _U**2)) ** 2.25) ** 0.82
        upper = y0 + tilt - eyes.upper_height * arch
        belly = (1 - np.abs(_U + 0.0) ** 2.4) ** 0.9
        lower = y0 + tilt + eyes.lower_height * belly
        return np.column_stack([x, upper]), np.column_stack([x, lower])

    def _draw_ball(
        self, colour: NDArray[np.uint8], opening: NDArray[np.float64], gaze_x: float, gaze_y: float
    ) -> None:
        brush, eyes, (x0, y0) = self._brush, self._eyes, self._centre
        w, r = eyes.half_width, eyes.iris_radius
        ball = brush.blank(_WHITE)
        brush.ellipse(
            ball, (x0 - self._outward * 0.98 * w, y0 + 0.06 * w), (0.12 * w, 0.12 * w), _CORNER
        )
        at = (x0 + 0.22 * w * gaze_x, y0 - 0.14 * r + 0.14 * w * gaze_y)
        brush.place(ball, self._iris, at, r)
        brush.ellipse(ball, (at[0] - 0.34 * r, at[1] - 0.36 * r), (0.22 * r, 0.24 * r), _LIGHT)
        brush.ellipse(
            ball, (at[0] + 0.36 * r, at[1] + 0.36 * r), (0.1 * r, 0.1 * r), bgr("#e9d3c0")
        )
        cv2.copyTo(ball, brush.mask(opening), colour)

    def _draw_lashes(
        self,
        colour: NDArray[np.uint8],
        cover: NDArray[np.uint8],
        lid: NDArray[np.float64],
        blink: float,
    ) -> None:
        brush, w = self._brush, self._eyes.half_width
        thickness = 0.14 * w * (0.35 + 0.65 * ((_U + 1) / 2) ** 0.7)
        end = lid[-1] + np.array([self._outward * 0.16 * w, -0.13 * w * (1 - 1.4 * blink)])
        top = np.vstack([lid - np.column_stack([0 * _U, thickness]), end])
        brush.fill(colour, cover, np.vstack([top, lid[::-1]]), self._line)
        crease = lid * (1, 0.25) + self._edges()[0] * (0, 0.75)
        crease = crease - (0, (0.19 - 0.05 * blink) * w)
        brush.stroke(colour, cover, crease[3:-1], bgr("#b98066"), 0.045 * w, taper=0.2)

    def _shade(self, eye: NDArray[np.float32], lid: NDArray[np.float64]) -> None:
        """The lid's shadow on the eyeball."""
        x0, w = self._centre[0], self._eyes.half_width
        y = float(lid[len(_U) // 2, 1])
        mask = self._brush.soft_ellipse((x0, y), (0.85 * w, 0.1 * w), 0.09 * w)
        self._brush.blend(eye, mask, self._line, 0.5)
