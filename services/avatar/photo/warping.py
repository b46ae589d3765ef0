"""Fields of a photo in a picture of another size, and the maps that move its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.avatar.photo.fields import Lattice

FloatImage = NDArray[np.float32]
Floats = NDArray[np.float64]

_ITERATIONS = 3


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a photo lies in a picture: pixel x of the photo is at x * zoom + left."""

    zoom: float
    left: float
    top: float


class Warp:
    """A lattice of the photo laid over the pixels of a picture.

    Args:
        lattice: The places at which fields are known.
        placement: Where the photo lies in the picture.
        size: Width and height of the picture.
    """

    def __init__(self, lattice: Lattice, placement: Placement, size: tuple[int, int]) -> None:
        self._zoom = placement.zoom
        self._step = lattice.step * placement.zoom
        self._origin = (
            lattice.left * placement.zoom + placement.left,
            lattice.top * placement.zoom + placement.top,
        )
        right = self._origin[0] + self._step * (lattice.columns - 1)
        bottom = self._origin[1] + self._step * (lattice.rows - 1)
        rows = slice(max(0, math.ceil(self._origin[1])), min(size[1], math.floor(bottom) + 1))
        columns = slice(max(0, math.ceil(self._origin[0])), min(size[0], math.floor(right) + 1))
        self.box = (rows, columns)
        """The rows and columns of the picture that the lattice covers."""
        pixels = lattice.pixels() * placement.zoom + (placement.left, placement.top)
        self.places: FloatImage = pixels.astype(np.float32)
        """The pixel of each place, shape (rows, columns, 2)."""
        self._x = np.arange(columns.start, columns.stop, dtype=np.float32)[None]
        self._y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        # from the pixels of the box to the places of the lattice
        self._to_lattice = np.array(
            [
                [1 / self._step, 0, (columns.start - self._origin[0]) / self._step],
                [0, 1 / self._step, (rows.start - self._origin[1]) / self._step],
            ]
        )

    def scaled(self, field: FloatImage) -> FloatImage:
        """Returns a field of the photo in pixels of the picture."""
        return field * np.float32(self._zoom)

    def to_lattice(self, pixels: FloatImage) -> FloatImage:
        """Returns the column and row in the lattice of pixels of the picture, shape (..., 2)."""
        return (pixels - np.array(self._origin, np.float32)) * np.float32(1 / self._step)

    def maps(self, places: FloatImage, field: FloatImage | None) -> tuple[FloatImage, FloatImage]:
        """Returns the source x and y of every pixel of the box.

        Args:
            places: Where each place of the lattice comes from, before the field; shape (rows,
                columns, 2), pixels of the picture.
            field: How far each place goes, in pixels of the picture; None: not at all. The inverse
                is found by fixed-point iteration.
        """
        source = places
        if field is not None:
            for _ in range(_ITERATIONS):
                at = self.to_lattice(source)
                moved = cv2.remap(
                    field,
                    np.ascontiguousarray(at[..., 0]),
                    np.ascontiguousarray(at[..., 1]),
                    cv2.INTER_LINEAR,
                    borderMode=cv2.BORDER_REPLICATE,
                )
                source = places - moved
        shift = source - self.places
        rows, columns = self.box
        fine = cv2.warpAffine(
            shift,
            self._to_lattice,
            (columns.stop - columns.start, rows.stop - rows.start),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        map_x, map_y = cv2.split(fine)
        return np.asarray(map_x + self._x, np.float32), np.asarray(map_y + self._y, np.float32)
