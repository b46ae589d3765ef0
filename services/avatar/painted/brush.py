"""Draws small antialiased shapes: drawn enlarged, then reduced."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
Planes = NDArray[np.float32]
"""A picture being painted: blue, green, red, shape (3, height, width), 0 to 255."""
Colour = tuple[float, float, float]
Sprite = tuple[FloatImage, FloatImage]
"""A drawn part: `picture * sprite[1] + sprite[0]` lays it over a picture, including rounding."""

_WORK_PIXELS = 150_000
_FRACTION_BITS = 4
_SIGMA_PX = 1.4
_BYTE = np.float32(1 / 255)
_COUNT = np.arange(4096, dtype=np.float32)


def bgr(colour: str) -> Colour:
    """Converts "#rrggbb" to blue, green, red of 0 to 255."""
    return float(int(colour[5:7], 16)), float(int(colour[3:5], 16)), float(int(colour[1:3], 16))


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of pixels that shows a rectangle of the canvas.

    Attributes:
        left, top, width, height: In pixels of the picture.
        scale: Pixels per canvas unit.
        x, y: The canvas point at the region's top left corner.
    """

    left: int
    top: int
    width: int
    height: int
    scale: float
    x: float
    y: float

    @staticmethod
    def around(
        box: tuple[float, float, float, float], *, scale: float, origin: tuple[float, float]
    ) -> Region:
        """Returns the region that covers a box (left, top, right, bottom) of the canvas.

        Args:
            box: In canvas units.
            scale: Pixels per canvas unit.
            origin: The canvas point at the picture's top left corner.
        """
        left, top = (math.floor((box[i] - origin[i]) * scale) for i in (0, 1))
        right, bottom = (math.ceil((box[i + 2] - origin[i]) * scale) for i in (0, 1))
        left, top = max(left, 0), max(top, 0)
        return Region(
            left,
            top,
            right - left,
            bottom - top,
            scale,
            origin[0] + left / scale,
            origin[1] + top / scale,
        )

    def cut(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Returns the region's pixels, as a view."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


def ribbon(line: NDArray[np.float64], thickness: float, *, taper: float) -> NDArray[np.float64]:
    """Returns the outline of a line, `taper` times as thick at its ends as in its middle."""
    half = 0.5 * thickness * _profile(len(line), taper)
    along = np.empty_like(line)
    along[1:-1] = line[2:] - line[:-2]
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    half /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    aside = along[:, ::-1] * half[:, None]
    aside[:, 0] *= -1
    return np.concatenate([line + aside, (line - aside)[::-1]])


@lru_cache(64)
def _profile(count: int, taper: float) -> NDArray[np.float64]:
    return np.asarray(taper + (1 - taper) * (1 - np.linspace(-1, 1, count) ** 2))


@dataclass(frozen=True, slots=True)
class SoftMask:
    """Coverage, 0 to 1, of a part of a region, shape (rows, columns)."""

    rows: slice
    columns: slice
    cover: FloatImage


class Wash:
    """Colours laid over each other, independent of the picture beneath them."""

    def __init__(self, brush: Brush) -> None:
        height, width = brush.region.height, brush.region.width
        self._drawn: Planes = np.zeros((3, height, width), np.float32)
        self._rest: FloatImage = np.ones((height, width), np.float32)

    def over(self, mask: SoftMask, colour: Colour, opacity: float) -> None:
        """Lays one colour through a mask."""
        cover = mask.cover * np.float32(opacity)
        drawn, rest = self._drawn[:, mask.rows, mask.columns], self._rest[mask.rows, mask.columns]
        drawn += (_column(colour) - drawn) * cover
        rest *= 1 - cover

    def lay(self, picture: Planes, mask: SoftMask) -> None:
        """Lays a picture of the region's size through a mask."""
        drawn, rest = self._drawn[:, mask.rows, mask.columns], self._rest[mask.rows, mask.columns]
        drawn += (picture[:, mask.rows, mask.columns] - drawn) * mask.cover
        rest *= 1 - mask.cover

    def sprite(self) -> Sprite:
        """Returns the accumulated colours as a sprite."""
        drawn = cv2.merge([plane + np.float32(0.5) for plane in self._drawn])
        return np.asarray(drawn, np.float32), np.asarray(cv2.merge([self._rest] * 3), np.float32)


class Brush:
    """Draws into one region. It stores no picture of its own, so threads may share it."""

    def __init__(self, region: Region) -> None:
        self.region = region
        factor = math.sqrt(_WORK_PIXELS / (region.width * region.height))
        self._factor = max(2, min(3, round(factor)))
        self._shape = (region.height * self._factor, region.width * self._factor)
        self._zoom = region.scale * self._factor

    def begin(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Returns an empty enlarged picture and its empty coverage."""
        return np.zeros((*self._shape, 3), np.uint8), np.zeros(self._shape, np.uint8)

    def blank(self, colour: Colour) -> NDArray[np.uint8]:
        """Returns an enlarged picture of one colour."""
        picture = np.empty((*self._shape, 3), np.uint8)
        cv2.rectangle(picture, (0, 0), (self._shape[1], self._shape[0]), colour, cv2.FILLED)
        return picture

    def mask(self, points: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Returns the enlarged coverage of a polygon."""
        mask = np.zeros(self._shape, np.uint8)
        cv2.fillPoly(mask, [self._fixed(points)], 255, cv2.LINE_8, _FRACTION_BITS)
        return mask

    def plain(self, colour: Colour) -> Planes:
        """Returns a picture of one colour at the region's size."""
        shape = (3, self.region.height, self.region.width)
        return np.broadcast_to(_column(colour), shape).copy()

    def cover(self, cover: NDArray[np.uint8], points: NDArray[np.float64]) -> None:
        """Adds a polygon to an enlarged coverage."""
        cv2.fillPoly(cover, [self._fixed(points)], 255, cv2.LINE_8, _FRACTION_BITS)

    def fill(
        self,
        picture: NDArray[np.uint8],
        cover: NDArray[np.uint8] | None,
        points: NDArray[np.float64],
        colour: Colour,
    ) -> None:
        """Fills a polygon of canvas points, shape (n, 2)."""
        cv2.fillPoly(picture, [self._fixed(points)], colour, cv2.LINE_8, _FRACTION_BITS)
        if cover is not None:
            self.cover(cover, points)

    def stroke(
        self,
        picture: NDArray[np.uint8],
        cover: NDArray[np.uint8] | None,
        line: NDArray[np.float64],
        colour: Colour,
        thickness: float,
        *,
        taper: float,
    ) -> None:
        """Draws a line `thickness` thick in its middle and `taper` times that at its ends."""
        self.fill(picture, cover, ribbon(line, thickness, taper=taper), colour)

    def ellipse(
        self,
        picture: NDArray[np.uint8],
        centre: tuple[float, float],
        radii: tuple[float, float],
        colour: Colour,
    ) -> None:
        """Fills an ellipse."""
        self.fill(picture, None, _ellipse(centre, radii), colour)

    def finish(
        self, picture: NDArray[np.uint8], cover: NDArray[np.uint8], *, soften: float = 0
    ) -> tuple[Planes, SoftMask]:
        """Reduces a picture and its coverage to the region's size.

        Args:
            picture: The enlarged picture.
            cover: Its coverage.
            soften: The Gaussian's sigma in canvas units.
        """
        size = (self.region.width, self.region.height)
        both = cv2.resize(cv2.merge([picture, cover]), size, interpolation=cv2.INTER_AREA).astype(
            np.float32
        )
        if soften * self.region.scale > 0.3:
            both = np.asarray(
                cv2.GaussianBlur(both, (0, 0), soften * self.region.scale), np.float32
            )
        blue, green, red, covered = cv2.split(both)
        alpha: FloatImage = np.multiply(covered, _BYTE, dtype=np.float32)
        colour = np.stack([blue, green, red]) / np.maximum(alpha, _BYTE)
        return np.asarray(colour, np.float32), SoftMask(slice(None), slice(None), alpha)

    def soft(self, *polygons: NDArray[np.float64], blur: float) -> SoftMask:
        """Returns the coverage of blurred polygons, cropped to where it is not zero.

        Args:
            *polygons: Canvas points, shape (n, 2) each; they do not overlap.
            blur: The Gaussian's sigma in canvas units.
        """
        region = self.region
        sigma = max(0.4, blur * region.scale)
        # A wide blur looks the same on fewer pixels; with a narrow one the whole pixels that OpenCV
        # fills become visible, so it is drawn on more.
        shrink = max(1, int(sigma / _SIGMA_PX))
        grow = 1 if sigma > 2 else 2 if sigma > 1 else 4
        unit = 2**_FRACTION_BITS * grow / shrink
        # OpenCV counts from the centre of the first pixel
        middle = 0.5 * (unit - 2**_FRACTION_BITS)
        fixed = [
            np.rint((points - (region.x, region.y)) * (region.scale * unit) + middle).astype(
                np.int32
            )
            for points in polygons
        ]
        box = cv2.boundingRect(fixed[0] if len(fixed) == 1 else np.vstack(fixed))
        margin = math.ceil(3 * sigma / shrink) + 1
        left, right = _span(box[0], box[2], grow, margin, -(-region.width // shrink))
        top, bottom = _span(box[1], box[3], grow, margin, -(-region.height // shrink))
        if right <= left or bottom <= top:
            return SoftMask(slice(0), slice(0), np.zeros((0, 0), np.float32))
        mask = np.zeros(((bottom - top) * grow, (right - left) * grow), np.uint8)
        start = np.array((left, top)) * grow << _FRACTION_BITS
        cv2.fillPoly(mask, [f - start for f in fixed], 255, cv2.LINE_8, _FRACTION_BITS)
        if grow > 1:
            size = (right - left, bottom - top)
            mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma / shrink), np.uint8)
        rows, columns = slice(top * shrink, bottom * shrink), slice(left * shrink, right * shrink)
        if shrink > 1:
            size = (mask.shape[1] * shrink, mask.shape[0] * shrink)
            mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR), np.uint8)
            mask = mask[: region.height - rows.start, : region.width - columns.start]
        return SoftMask(rows, columns, np.multiply(mask, _BYTE, dtype=np.float32))

    def glow(
        self, *centres: tuple[float, float], radii: tuple[float, float], blur: float
    ) -> SoftMask:
        """Returns the coverage of soft spots: blurred rectangles, which are cheap.

        Args:
            *centres: Their centres, in canvas units like the other lengths.
            radii: Half their width and height.
            blur: The softness of their edges, at least about half the smaller radius.
        """
        region = self.region
        reach = [(r + 2.2 * blur) for r in radii]
        left = (min(x for x, _ in centres) - reach[0] - region.x) * region.scale
        right = (max(x for x, _ in centres) + reach[0] - region.x) * region.scale
        top = (min(y for _, y in centres) - reach[1] - region.y) * region.scale
        bottom = (max(y for _, y in centres) + reach[1] - region.y) * region.scale
        columns = slice(max(0, int(left)), max(1, min(region.width, int(right) + 2)))
        rows = slice(max(0, int(top)), max(1, min(region.height, int(bottom) + 2)))
        xs = region.x + (_COUNT[columns] + 0.5) / region.scale
        ys = region.y + (_COUNT[rows] + 0.5) / region.scale
        cover = np.zeros((len(ys), len(xs)), np.float32)
        for x, y in centres:
            cover += np.outer(_spread(ys - y, radii[1], blur), _spread(xs - x, radii[0], blur))
        return SoftMask(rows, columns, cover)

    def soft_ellipse(
        self, *centres: tuple[float, float], radii: tuple[float, float], blur: float
    ) -> SoftMask:
        """Returns the coverage of blurred ellipses; lengths in canvas units."""
        return self.soft(*(_ellipse(centre, radii) for centre in centres), blur=blur)

    def outside(self, within: SoftMask) -> SoftMask:
        """Returns the coverage of everything else."""
        cover = np.ones((self.region.height, self.region.width), np.float32)
        cover[within.rows, within.columns] -= within.cover
        return SoftMask(slice(None), slice(None), cover)

    @staticmethod
    def blend(picture: Planes, mask: SoftMask, colour: Colour, opacity: float) -> None:
        """Mixes a colour into the picture in place."""
        pixels = picture[:, mask.rows, mask.columns]
        pixels += (_column(colour) - pixels) * (mask.cover * np.float32(opacity))

    def place(
        self,
        picture: NDArray[np.uint8],
        sprite: NDArray[np.uint8],
        centre: tuple[float, float],
        radius: float,
    ) -> None:
        """Draws a square BGRA sprite of the given radius into an enlarged picture."""
        side = sprite.shape[0]
        zoom = 2 * radius * self._zoom / side
        x, y = ((centre[i] - (self.region.x, self.region.y)[i]) * self._zoom for i in (0, 1))
        matrix = np.array([[zoom, 0, x - zoom * side / 2], [0, zoom, y - zoom * side / 2]])
        size = (self._shape[1], self._shape[0])
        placed = cv2.warpAffine(sprite, matrix, size, flags=cv2.INTER_LINEAR)
        cv2.copyTo(placed[..., :3], placed[..., 3], picture)

    def _fixed(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        pixels = (points - (self.region.x, self.region.y)) * self._zoom
        return np.asarray(np.round(pixels * 2**_FRACTION_BITS), np.int32)


@lru_cache(256)
def _column(colour: Colour) -> Planes:
    return np.array(colour, np.float32)[:, None, None]


def _span(start: int, length: int, grow: int, margin: int, limit: int) -> tuple[int, int]:
    """Returns the first and last pixel that a fixed-point box touches, with a margin."""
    first, last = start >> _FRACTION_BITS, (start + length) >> _FRACTION_BITS
    return max(0, first // grow - margin), min(limit, last // grow + margin + 1)


def _spread(distance: FloatImage, radius: float, blur: float) -> FloatImage:
    """Returns a blurred bar in one dimension: 1 in its middle if it is wider than its blur."""
    k = np.float32(1.25 / blur)
    return np.asarray(
        0.5 * (np.tanh((distance + radius) * k) - np.tanh((distance - radius) * k)), np.float32
    )


def _ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> NDArray[np.float64]:
    t = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    return np.column_stack([centre[0] + radii[0] * np.cos(t), centre[1] + radii[1] * np.sin(t)])
