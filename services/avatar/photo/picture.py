"""Decodes uploaded photos: only known formats, and checks the size before decoding."""

from __future__ import annotations

import struct

import cv2
import numpy as np

from services.avatar.engine import BgrImage
from services.avatar.photo.faults import PhotoFault

MAX_FILE_BYTES = 32 << 20
MAX_PIXELS = 64_000_000
_MAX_SIDE_PX = 30_000
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})


def read_photo(data: bytes) -> BgrImage:
    """Decodes a JPEG, PNG or WebP file and rotates it according to its EXIF data.

    Raises:
        PhotoFault: The file has another format, is damaged, or has more than `MAX_PIXELS`.
    """
    size = _size(data)
    if size is None:
        raise PhotoFault("NOT_AN_IMAGE", _what_it_is(data))
    width, height = size
    if width * height > MAX_PIXELS or max(size) > _MAX_SIDE_PX:
        raise PhotoFault(
            "IMAGE_TOO_LARGE",
            f"must be at most {MAX_PIXELS // 1_000_000} megapixels, "
            f"got {width * height / 1e6:.0f} ({width} x {height} pixels)",
        )
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        picture = None
    if picture is None or min(width, height) < 1:
        raise PhotoFault(
            "NOT_AN_IMAGE", "the photo is damaged and cannot be decoded; save it again"
        )
    return np.asarray(picture, np.uint8)


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
