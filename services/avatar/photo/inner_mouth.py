"""The parts behind the lips (cavity, tongue, teeth), painted to match a photo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.photo.fields import JAW_DROP, meeting_line, smooth_step
from services.avatar.photo.geometry import Geometry

FloatImage = NDArray[np.float32]
Floats = NDArray[np.float64]

_UPPER_WIDTHS = (0.047, 0.037, 0.038, 0.032, 0.028)
"""From the middle outwards as seen from the front, in face heights."""
_LOWER_WIDTHS = (0.029, 0.031, 0.034, 0.032, 0.028)
_INCISOR_SHOW = 0.013
"""How far the upper teeth extend below the line where the lips meet."""
_LONGEST_TOOTH = 0.062
_TONGUE_RISE = 0.042
_TIP_FROM = 0.75
"""The value from which the tip of the tongue is visible between the teeth."""


@dataclass(frozen=True, kw_only=True)
class Tones:
    """Colours of the inner mouth, blue first, 0 to 255.

    Attributes:
        teeth: Colour of the front teeth in full light.
        flesh: Colour of tongue and gums.
        cavity: Colour of the dark behind them.
    """

    teeth: tuple[float, float, float]
    flesh: tuple[float, float, float]
    cavity: tuple[float, float, float]


class InnerMouth:
    """The parts of the inner mouth in a box of the picture.

    Args:
        geometry: The face in the picture.
        u: u of each pixel of the box, shape (height, width).
        v: v of each pixel of the box.
        tones: The colours.
        softness_px: The blur of the photo there, as the sigma of a Gaussian.
    """

    def __init__(
        self, geometry: Geometry, u: Floats, v: Floats, tones: Tones, *, softness_px: float
    ) -> None:
        self._down = geometry.axes.down * geometry.axes.unit
        pixel = 1 / geometry.axes.unit
        line = meeting_line(geometry)
        middle = float(np.mean(line.u[[0, -1]]))
        level = float(line.at(np.array([middle]))[0])
        x, y = u - middle, v - level
        lower_edge = float(geometry.lower_lip.at(np.array([middle]))[0]) - level
        upper_edge = float(geometry.upper_lip.at(np.array([middle]))[0]) - level
        tip = _INCISOR_SHOW
        if geometry.gap > 0:
            tip = min(lower_edge + 0.006, upper_edge + _LONGEST_TOOTH)
        self._cavity = _cavity(x, y, tones)
        self._tongue = _soft(_tongue(x, y, tones, pixel), softness_px)
        self._lower = _soft(_lower_teeth(x, y, tones, pixel), softness_px)
        self._upper = _soft(_upper_teeth(x, y - tip, tones, pixel), softness_px)
        self._tip = _soft(_tongue_tip(x, y - tip, tones, pixel), softness_px)

    def paint(self, *, jaw: float, tongue: float) -> FloatImage:
        """Returns the inner mouth of a head at rest, shape (height, width, 3), 0 to 255."""
        picture = self._cavity.copy()
        drop = JAW_DROP * jaw
        _lay(picture, self._tongue, (drop - _TONGUE_RISE * tongue) * self._down)
        _lay(picture, self._lower, drop * self._down)
        _lay(picture, self._upper, np.zeros(2))
        if tongue > _TIP_FROM:
            shown = np.float32((tongue - _TIP_FROM) / (1 - _TIP_FROM))
            _lay(picture, self._tip * shown, np.zeros(2))
        return picture


def _cavity(x: Floats, y: Floats, tones: Tones) -> FloatImage:
    light = np.exp(-((x / 0.16) ** 2) - ((y - 0.10) / 0.09) ** 2)
    dark = np.array(tones.cavity)
    throat = 0.45 * np.array(tones.flesh)
    return np.asarray(dark + (throat - dark) * 0.55 * light[..., None], np.float32)


def _tongue(x: Floats, y: Floats, tones: Tones, pixel: float) -> FloatImage:
    top = -0.024 + 1.1 * x * x + 0.004 * np.exp(-((x / 0.012) ** 2))
    alpha = np.clip((y - top) / pixel + 0.5, 0, 1) * np.clip((0.13 - np.abs(x)) / 0.02, 0, 1)
    shade = 0.62 + 0.38 * np.exp(-(((y - top - 0.022) / 0.022) ** 2))
    shade *= 1 - 0.2 * np.exp(-((x / 0.008) ** 2))
    return _coloured(np.array(tones.flesh) * shade[..., None], alpha)


def _tongue_tip(x: Floats, y: Floats, tones: Tones, pixel: float) -> FloatImage:
    """`y` counts from the edge of the incisors; the lower lip covers the rest."""
    top = -0.005 + 3.0 * x * x
    alpha = np.clip((y - top) / pixel + 0.5, 0, 1) * np.clip((0.075 - np.abs(x)) / 0.02, 0, 1)
    shade = 0.75 + 0.35 * smooth_step((y - top) / 0.010)
    return _coloured(np.array(tones.flesh) * shade[..., None], alpha)


def _upper_teeth(x: Floats, y: Floats, tones: Tones, pixel: float) -> FloatImage:
    """`y` counts from the edge of the incisors."""
    place, half, number = _row(x, _UPPER_WIDTHS)
    shorter = np.array([0.0, 0.0035, 0.001, 0.006, 0.010])[number]
    edge = -0.55 * x * x - shorter - 0.006 * np.abs(place) ** 5
    alpha = np.clip((edge - y) / pixel + 0.5, 0, 1)
    gum = -0.056 + 0.010 * place**2 + shorter
    shade = _tooth_shade(x, place, half, pixel) * (0.90 + 0.10 * smooth_step((edge - y) / 0.02))
    flesh = smooth_step((gum - y) / 0.004)[..., None]
    colour = np.array(tones.teeth) * (1 - flesh) + np.array(tones.flesh) * 0.9 * flesh
    return _coloured(_shaded(colour, shade, tones), alpha)


def _lower_teeth(x: Floats, y: Floats, tones: Tones, pixel: float) -> FloatImage:
    place, half, _ = _row(x, _LOWER_WIDTHS)
    edge = 0.009 + 0.45 * x * x + 0.004 * np.abs(place) ** 5
    alpha = np.clip((y - edge) / pixel + 0.5, 0, 1)
    alpha *= np.clip((0.13 - np.abs(x)) / 0.02, 0, 1)
    shade = 0.70 * _tooth_shade(x, place, half, pixel)
    flesh = smooth_step((y - edge - 0.040) / 0.006)[..., None]
    colour = np.array(tones.teeth) * (1 - flesh) + np.array(tones.flesh) * 0.8 * flesh
    return _coloured(_shaded(colour, shade, tones), alpha)


def _row(x: Floats, widths: tuple[float, ...]) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Returns for each x the position in its tooth (-1 to 1), its half width and its number."""
    ends = np.cumsum(widths)
    number = np.minimum(np.searchsorted(ends, np.abs(x)), len(widths) - 1)
    half = np.array(widths)[number] / 2
    return np.clip((np.abs(x) - ends[number] + half) / half, -1, 1), half, number


def _tooth_shade(x: Floats, place: Floats, half: Floats, pixel: float) -> Floats:
    """Returns the shade: dark between the teeth, round on each, darker towards the corners."""
    gap = np.exp(-((((1 - np.abs(place)) * half) / max(0.0022, 0.6 * pixel)) ** 2))
    across = np.exp(-((np.abs(x) / 0.15) ** 3))
    return np.asarray((1 - 0.30 * gap) * (1 - 0.07 * place**2) * (0.25 + 0.75 * across))


def _shaded(colour: Floats, shade: Floats, tones: Tones) -> Floats:
    """Shades with red: the inside of a mouth is lit by light reflected from flesh."""
    dark = 0.35 * np.array(tones.flesh)
    return np.asarray(dark + (colour - dark) * shade[..., None])


def _coloured(colour: Floats, alpha: Floats) -> FloatImage:
    """Returns premultiplied colour, blue first."""
    return np.concatenate([colour * alpha[..., None], alpha[..., None]], axis=-1).astype(np.float32)


def _soft(layer: FloatImage, sigma: float) -> FloatImage:
    return np.asarray(cv2.GaussianBlur(layer, (0, 0), sigma), np.float32)


def _lay(picture: FloatImage, layer: FloatImage, shift: Floats) -> None:
    if shift.any():
        height, width = layer.shape[:2]
        matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        layer = np.asarray(
            cv2.warpAffine(layer, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE),
            np.float32,
        )
    picture *= 1 - layer[..., 3:]
    picture += layer[..., :3]
