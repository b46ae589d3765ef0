"""Pictures of strangers in a worker process: their format, size and pixels.

Only known formats are decoded, and the size is checked in the file's header before. Only jobs of
the sandbox import this module: it loads OpenCV.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from services.runtime.sandbox.jobs import RefusedError
from services.runtime.sandbox.wire import Content

NOT_AN_IMAGE: Final = "NOT_AN_IMAGE"
IMAGE_TOO_LARGE: Final = "IMAGE_TOO_LARGE"
MAX_PIXELS: Final = 64_000_000
_MAX_SIDE_PX: Final = 30_000
_JPEG_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG: Final = b"\xff\xd8\xff"
_REDUCED: Final = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}

BgrPixels: TypeAlias = NDArray[np.uint8]
"""Shape [height, width, 3], blue first."""


def small_pictures() -> Iterator[bytes]:
    """Yields a file of each format, for what the libraries load at first use."""
    cv2.setNumThreads(1)
    picture = np.zeros((8, 8, 3), np.uint8)
    for ending in (".jpg", ".png", ".webp"):
        yield cv2.imencode(ending, picture)[1].tobytes()


def decoded(content: Content, *, max_pixels: int) -> BgrPixels:
    """Decodes a JPEG, PNG or WebP file and rotates it according to its EXIF data.

    Args:
        content: The file.
        max_pixels: Larger pictures are scaled down to this.

    Raises:
        RefusedError: `NOT_AN_IMAGE` for another format or a damaged file, `IMAGE_TOO_LARGE` for
            more than `MAX_PIXELS`.
    """
    data = bytes(content)
    size = _size(data)
    if size is None:
        raise RefusedError(NOT_AN_IMAGE, _what_it_is(data))
    width, height = size
    if width * height > MAX_PIXELS or max(size) > _MAX_SIDE_PX:
        raise RefusedError(
            IMAGE_TOO_LARGE,
            f"must be at most {MAX_PIXELS // 1_000_000} megapixels, "
            f"got {width * height / 1e6:.0f} ({width} x {height} pixels)",
        )
    picture = _pixels(data, width * height, max_pixels)
    if picture is None or min(width, height) < 1:
        raise RefusedError(
            NOT_AN_IMAGE, "the photo is damaged and cannot be decoded; save it again"
        )
    rows, columns = picture.shape[:2]
    return scaled(picture, (max_pixels / (rows * columns)) ** 0.5)


def scaled(picture: BgrPixels, zoom: float) -> BgrPixels:
    """Returns a picture scaled down; unchanged if `zoom` is at least 1."""
    if zoom >= 1:
        return picture
    height, width = picture.shape[:2]
    size = (max(1, int(width * zoom)), max(1, int(height * zoom)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _pixels(data: bytes, pixels: int, max_pixels: int) -> BgrPixels | None:
    flag = cv2.IMREAD_COLOR
    if data.startswith(_JPEG):
        # The only format whose decoder can leave out pixels, before it needs memory for them.
        for factor, reduced in _REDUCED.items():
            if pixels / factor**2 >= max_pixels:
                flag = reduced
                break
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from None
        return None
    return None if picture is None else np.asarray(picture, np.uint8)


def _what_it_is(data: bytes) -> str:
    if not data:
        return "the file is empty; send a JPEG, PNG or WebP picture"
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    if brand in (b"heic", b"heix", b"mif1", b"msf1", b"avif"):
        return "the file is a HEIC or AVIF picture; save it as JPEG and send that"
    return "the file is not a picture in a supported format; send a JPEG, PNG or WebP picture"


def _size(data: bytes) -> tuple[int, int] | None:
    """Returns width and height from the file's header; None for an unknown format."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            width, height = struct.unpack_from(">II", data, 16)
            return width, height
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg_size(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp_size(data)
    except (struct.error, IndexError):
        return None
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while True:
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        elif marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None
