"""Fields of a photo in a picture of another size, and the maps that move its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.photo.fields import Lattice

FloatImage = NDArray[np.float32]

_ITERATIONS = 3


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The position of a photo in a picture: pixel x of the photo is at x * zoom + left."""

    zoom: float
    left: float
    top: float


class Warp:
    """The part of a picture that a lattice of the photo covers, with its own lattice for motion.

    Its points are a whole number of pixels apart, so that the maps of the points only need to be
    enlarged to those of all pixels, which cv2.resize does exactly; cv2.warpAffine would round to
    1/32 of a step.

    Args:
        lattice: The points at which the fields of the photo are known.
        placement: The position of the photo in the picture.
        size: Width and height of the picture.
    """

    def __init__(self, lattice: Lattice, placement: Placement, size: tuple[int, int]) -> None:
        self._placement = placement
        step = lattice.step * placement.zoom
        left = lattice.left * placement.zoom + placement.left
        top = lattice.top * placement.zoom + placement.top
        right, bottom = left + step * (lattice.columns - 1), top + step * (lattice.rows - 1)
        rows = slice(max(0, math.ceil(top)), min(size[1], math.floor(bottom) + 1))
        columns = slice(max(0, math.ceil(left)), min(size[0], math.floor(right) + 1))
        self.box = (rows, columns)
        """The rows and columns of the picture."""
        self._height, self._width = rows.stop - rows.start, columns.stop - columns.start
        self._step = max(2, round(step))
        half = (self._step - 1) / 2
        self._origin = np.array([columns.start + half, rows.start + half], np.float32)
        x = self._origin[0] + self._step * np.arange(-(-self._width // self._step))
        y = self._origin[1] + self._step * np.arange(-(-self._height // self._step))
        self.places: FloatImage = np.stack(np.meshgrid(x, y), axis=-1).astype(np.float32)
        """The pixel of each point, shape (rows, columns, 2)."""

    def values(self, field: FloatImage, lattice: Lattice) -> FloatImage:
        """Resamples a field from a lattice of the photo to the points of this one."""
        placement = self._placement
        shift = np.array([placement.left, placement.top], np.float32)
        photo = (self.places - shift) / np.float32(placement.zoom)
        at = (photo - np.array([lattice.left, lattice.top], np.float32)) / np.float32(lattice.step)
        return _sampled(field, np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1]))

    def displacements(self, field: FloatImage, lattice: Lattice) -> FloatImage:
        """Resamples a field of displacements to the points, in pixels of the picture."""
        return self.values(field, lattice) * np.float32(self._placement.zoom)

    def maps(self, places: FloatImage, field: FloatImage | None) -> tuple[FloatImage, FloatImage]:
        """Returns the source x and y of every pixel of the box.

        Args:
            places: The source of each point before the field is applied; shape (rows, columns, 2),
                pixels of the picture.
            field: How far each point moves, in pixels of the picture; None for no motion. The
                inverse is found by fixed-point iteration.
        """
        source = places
        if field is not None:
            for _ in range(_ITERATIONS):
                at = (source - self._origin) * np.float32(1 / self._step)
                x, y = np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])
                source = places - _sampled(field, x, y)
        return self._enlarged(source[..., 0]), self._enlarged(source[..., 1])

    def _enlarged(self, values: FloatImage) -> FloatImage:
        rows, columns = values.shape
        # cv2.resize repeats values beyond the outermost points; a map has to be extrapolated
        padded = cv2.copyMakeBorder(values, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        padded[0] = 2 * padded[1] - padded[min(2, rows)]
        padded[-1] = 2 * padded[-2] - padded[max(-3, -rows - 1)]
        padded[:, 0] = 2 * padded[:, 1] - padded[:, min(2, columns)]
        padded[:, -1] = 2 * padded[:, -2] - padded[:, max(-3, -columns - 1)]
        size = ((columns + 2) * self._step, (rows + 2) * self._step)
        fine = cv2.resize(padded, size, interpolation=cv2.INTER_LINEAR)
        inner = fine[self._step : self._step + self._height, self._step : self._step + self._width]
        return np.asarray(inner, np.float32)


def _sampled(field: FloatImage, x: FloatImage, y: FloatImage) -> FloatImage:
    taken = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(taken, np.float32)
