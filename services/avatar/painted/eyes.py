"""Draws an eye: white, iris, highlight and the lid, which moves without the brow."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.painted.brush import Brush, Planes, Region, Sprite, Wash, bgr, ribbon
from services.avatar.painted.package import Eyes, Layer

_WHITE = bgr("#f6f1ee")
_CORNER = bgr("#e3a493")
_BALL_SHADE = bgr("#a98f8c")
_LIGHT = bgr("#ffffff")
_LID_LIGHT = bgr("#ffe3cf")
_GLIMMER = bgr("#d9bfa8")
_RIM = bgr("#96604f")
_CREASE = bgr("#8d5643")
_U = np.linspace(-1, 1, 41)
_STEPS = 60
_GAZE_STEPS = 32
"""A step of the gaze is a sixth of a pixel at 512 pixels."""
_KEPT_SPRITES = 64
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
        """The pixels that `paint` may change."""
        return self._brush.region

    def paint(
        self, picture: NDArray[np.uint8], *, blink: float, gaze_x: float, gaze_y: float
    ) -> None:
        """Paints the eye onto a picture of shape (height, width, 3 or more) in place."""
        steps = round(blink * _STEPS), round(gaze_x * _GAZE_STEPS), round(gaze_y * _GAZE_STEPS)
        eye, rest = self._sprite(*steps)
        skin = self._brush.region.cut(picture)
        skin[..., :3] = skin[..., :3] * rest + eye

    def _draw(self, blink_steps: int, gaze_x_steps: int, gaze_y_steps: int) -> Sprite:
        blink = blink_steps / _STEPS
        gaze_x, gaze_y = gaze_x_steps / _GAZE_STEPS, gaze_y_steps / _GAZE_STEPS
        brush, w = self._brush, self._eyes.half_width
        upper, lower = self._edges(gaze_y)
        lid = upper + (lower - (0, 0.02 * w) - upper) * blink
        wash = Wash(brush)
        self._draw_lids(wash, upper, lid, lower, blink)
        if blink < 0.98:
            colour, cover = brush.begin()
            opening = np.vstack([lid, lower[::-1]])
            self._draw_ball(colour, opening, gaze_x, gaze_y)
            brush.cover(cover, opening)
            ball, alpha = brush.finish(colour, cover)
            self._shade(ball, lid)
            wash.lay(ball, alpha)
        rim = brush.soft(ribbon(lower, 0.05 * w, taper=0.4), blur=0.015 * w)
        wash.over(rim, _RIM, 0.5 + 0.3 * blink)
        colour, cover = brush.begin()
        self._draw_lashes(colour, cover, lid, blink)
        wash.lay(*brush.finish(colour, cover, soften=0.012 * w))
        return wash.sprite()

    def _draw_lids(
        self,
        wash: Wash,
        upper: NDArray[np.float64],
        lid: NDArray[np.float64],
        lower: NDArray[np.float64],
        blink: float,
    ) -> None:
        """Draws the skin over the eyeball: the crease, its shade and the closing lid."""
        brush, w = self._brush, self._eyes.half_width
        crease = upper - (0, 0.2 * w) + (lid - upper) * 0.12
        crease[:, 1] += 0.1 * w * np.abs(_U) ** 3
        between = np.vstack([crease, lid[::-1]])
        if blink > 0.01:
            wash.over(brush.soft(np.vstack([upper, lid[::-1]]), blur=0.06 * w), self._lid, 1)
            # Light comes from above: the lid is brightest where it bulges and darkest at its root.
            middle = upper + 0.55 * (lid - upper)
            bulge = brush.soft(ribbon(middle[4:-4], 0.3 * w, taper=0.3), blur=0.14 * w)
            wash.over(bulge, _LID_LIGHT, 0.5 * blink)
            root = brush.soft(ribbon(upper[2:-2], 0.16 * w, taper=0.3), blur=0.08 * w)
            wash.over(root, _CREASE, 0.25 * blink)
        wash.over(brush.soft(between, blur=0.05 * w), _CREASE, 0.3 * (1 - 0.8 * blink))
        fold = brush.soft(ribbon(crease[2:-1], 0.06 * w, taper=0.2), blur=0.02 * w)
        wash.over(fold, _CREASE, 0.75 - 0.35 * blink)
        bag = lower[6:-4] - (0, -0.14 * w)
        wash.over(brush.soft(ribbon(bag, 0.07 * w, taper=0), blur=0.05 * w), _CREASE, 0.22)

    def _edges(self, gaze_y: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the edges of the open eye, inner to outer corner, each of shape (41, 2)."""
        eyes, (x0, y0) = self._eyes, self._centre
        x = x0 + self._outward * eyes.half_width * _U
        tilt = -0.07 * eyes.half_width * _U
        arch = (1 - np.abs(_U - 0.06 * (1 - _U**2)) ** 2.25) ** 0.82
        # the upper lid follows the gaze
        upper = y0 + tilt - (eyes.upper_height - 0.1 * eyes.half_width * gaze_y) * arch
        belly = (1 - np.abs(_U + 0.0) ** 2.4) ** 0.9
        lower = y0 + tilt + eyes.lower_height * belly
        return np.column_stack([x, upper]), np.column_stack([x, lower])

    def _draw_ball(
        self, colour: NDArray[np.uint8], opening: NDArray[np.float64], gaze_x: float, gaze_y: float
    ) -> None:
        brush, eyes, (x0, y0) = self._brush, self._eyes, self._centre
        w, r = eyes.half_width, eyes.iris_radius
        ball = brush.blank(_WHITE)
        corner = (x0 - self._outward * 0.97 * w, y0 + 0.06 * w)
        brush.ellipse(ball, corner, (0.13 * w, 0.12 * w), _CORNER)
        at = (x0 + 0.22 * w * gaze_x, y0 - 0.14 * r + 0.14 * w * gaze_y)
        brush.place(ball, self._iris, at, r)
        brush.ellipse(ball, (at[0] - 0.36 * r, at[1] - 0.4 * r), (0.2 * r, 0.22 * r), _LIGHT)
        brush.ellipse(ball, (at[0] - 0.08 * r, at[1] - 0.5 * r), (0.07 * r, 0.08 * r), _LIGHT)
        brush.ellipse(ball, (at[0] + 0.4 * r, at[1] + 0.42 * r), (0.1 * r, 0.09 * r), _GLIMMER)
        cv2.copyTo(ball, brush.mask(opening), colour)

    def _draw_lashes(
        self,
        colour: NDArray[np.uint8],
        cover: NDArray[np.uint8],
        lid: NDArray[np.float64],
        blink: float,
    ) -> None:
        brush, w, lashes = self._brush, self._eyes.half_width, self._eyes.lashes
        thickness = w * (0.045 + 0.06 * lashes * ((_U + 1) / 2) ** 0.8)
        reach = np.array([self._outward * 0.1 * w, -0.07 * w * (1 - 1.6 * blink)]) * lashes
        top = np.vstack([lid - np.column_stack([0 * _U, thickness]), lid[-1] + reach])
        brush.fill(colour, cover, np.vstack([top, lid[::-1]]), self._line)
        if not lashes:
            return
        for at in range(10, len(_U), 2):
            u = (_U[at] + 1) / 2
            length = lashes * w * (0.07 + 0.09 * u)
            lean = self._outward * length * (0.15 + 0.75 * u)
            lift = length * (1 - 1.55 * blink)
            root = lid[at] - (0, 0.6 * thickness[at])
            t = np.linspace(0, 1, 7)[:, None]
            hair = root + t * (0.4 * lean, -lift) + t**2 * (0.6 * lean, 0.12 * lift)
            outline = np.vstack([hair - (0.012 * w, 0), (hair - (-0.012 * w, 0))[::-1]])
            outline[6:8] = hair[-1]
            brush.fill(colour, cover, outline, self._line)

    def _shade(self, ball: Planes, lid: NDArray[np.float64]) -> None:
        """Shades the eyeball: its roundness and the shadow of the lid."""
        brush, w = self._brush, self._eyes.half_width
        x0, y0 = self._centre
        rim = brush.outside(brush.soft_ellipse((x0, y0), radii=(0.78 * w, 0.62 * w), blur=0.22 * w))
        brush.blend(ball, rim, _BALL_SHADE, 0.6)
        below = lid - (0, -0.07 * w)
        shadow = brush.soft(np.vstack([lid - (0, 0.2 * w), below[::-1]]), blur=0.055 * w)
        brush.blend(ball, shadow, self._line, 0.55)
