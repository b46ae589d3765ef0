"""The visible mark on pictures made by AI."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.engine import BgrImage, Frame, HostFrame, VideoSpec
from services.avatar.video.encoder import CodedFrame, VideoEncoder
from services.avatar.video.x264 import X264Encoder

_HEIGHT = 0.052
"""Height of the mark, relative to the shorter side of the picture."""
_MIN_HEIGHT_PX = 12
_WIDTH = 1.55
"""Width of the mark, relative to its height."""
_MARGIN = 0.45
_SUPERSAMPLING = 8
_PLATE, _LETTERS = 0.46, 0.94
"""How much the plate darkens and the letters lighten."""


class AiMark:
    """The letters AI on a dark rounded plate in the lower right corner.

    Args:
        video: The size of the pictures.
    """

    def __init__(self, video: VideoSpec) -> None:
        height = max(_MIN_HEIGHT_PX, round(_HEIGHT * min(video.width_px, video.height_px)))
        width = round(_WIDTH * height)
        margin = round(_MARGIN * height)
        bottom, right = video.height_px - margin, video.width_px - margin
        self._box = (slice(bottom - height, bottom), slice(right - width, right))
        plate, letters = _shapes(width, height)
        self._keep = (1 - _PLATE * plate) * (1 - _LETTERS * letters)
        self._add = 255 * _LETTERS * letters

    @property
    def box(self) -> tuple[slice, slice]:
        """The rows and columns that the mark covers."""
        return self._box

    def draw(self, picture: BgrImage) -> None:
        """Draws the mark into a picture."""
        part = picture[self._box]
        part[:] = (part * self._keep + self._add).astype(np.uint8)


class MarkingEncoder:
    """A `VideoEncoder` that draws the mark into each picture and passes it to another encoder."""

    def __init__(self, video: VideoSpec, encoder: VideoEncoder) -> None:
        self._mark = AiMark(video)
        self._encoder = encoder

    def encode(self, frame: Frame) -> CodedFrame:
        """Draws the mark into the next picture, which is modified, and encodes it."""
        picture = frame.to_bgr()
        self._mark.draw(picture)
        return self._encoder.encode(HostFrame(picture))


def open_encoder(video: VideoSpec, *, preset: str, ai_mark: bool) -> VideoEncoder:
    """Returns an encoder, with or without the mark."""
    encoder = X264Encoder(video, preset=preset)
    return MarkingEncoder(video, encoder) if ai_mark else encoder


def _shapes(width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the coverage per pixel, shape (height, width, 1), of the plate and of the letters."""
    n = _SUPERSAMPLING
    size = (height * n, width * n)
    plate, letters = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    unit = height * n
    radius = round(0.28 * unit)
    right, bottom = size[1] - 1, size[0] - 1
    cv2.rectangle(plate, (radius, 0), (right - radius, bottom), 255, cv2.FILLED)
    cv2.rectangle(plate, (0, radius), (right, bottom - radius), 255, cv2.FILLED)
    for x in (radius, right - radius):
        for y in (radius, bottom - radius):
            cv2.circle(plate, (x, y), radius, 255, cv2.FILLED)
    strokes = (
        ((0.34, 0.74), (0.58, 0.26)),
        ((0.58, 0.26), (0.82, 0.74)),
        ((0.43, 0.58), (0.73, 0.58)),
        ((1.14, 0.26), (1.14, 0.74)),
    )
    for (x0, y0), (x1, y1) in strokes:
        ends = ((round(x0 * unit), round(y0 * unit)), (round(x1 * unit), round(y1 * unit)))
        cv2.line(letters, *ends, 255, max(1, round(0.11 * unit)))
    small_plate, small_letters = (
        cv2.resize(shape, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        for shape in (plate, letters)
    )
    return (
        np.asarray(small_plate[..., None] / 255, np.float32),
        np.asarray(small_letters[..., None] / 255, np.float32),
    )
