"""Files that are photos, and files that are not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from services.avatar.engine import BgrImage
from services.avatar.photo.faults import PhotoFault
from services.avatar.photo.picture import read_photo

ORIENTATION = 0x0112


def coded(picture: BgrImage, kind: str, orientation: int = 1, **options: int) -> bytes:
    image = Image.fromarray(picture[..., ::-1])
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    image.save(file, kind, exif=exif, **options)
    return file.getvalue()


def png_head(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + crc


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 97}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 95}),
    ],
)
def test_known_formats_are_read(picture: BgrImage, kind: str, options: dict[str, int]) -> None:
    read = read_photo(coded(picture, kind, **options))
    assert read.shape == picture.shape
    assert np.abs(read.astype(int) - picture).mean() < 6


@pytest.mark.parametrize(
    ("orientation", "turns"),
    [(1, 0), (3, 2), (6, 1), (8, 3)],
)
def test_a_photo_is_turned_as_its_exif_says(
    picture: BgrImage, orientation: int, turns: int
) -> None:
    stored = np.ascontiguousarray(np.rot90(picture, turns))
    read = read_photo(coded(stored, "JPEG", orientation, quality=97))
    assert read.shape == picture.shape
    assert np.abs(read.astype(int) - picture).mean() < 4


def test_grey_and_transparent_pictures_are_read(picture: BgrImage) -> None:
    for mode in ("L", "RGBA", "P"):
        file = io.BytesIO()
        Image.fromarray(picture[..., ::-1]).convert(mode).save(file, "PNG")
        assert read_photo(file.getvalue()).shape == picture.shape


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"# a text file\n" * 50, "not a picture"),
        (b"GIF89a" + bytes(100), "JPEG, PNG or WebP"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "HEIC"),
        (b"\xff\xd8\xff\xe0", "not a picture"),
        (b"\xff\xd8\xff\xe0\x00\x02" * 9, "not a picture"),
        (b"RIFF\0\0\0\0WEBPVP8X", "damaged"),
        (png_head(100, 100), "damaged"),
        (png_head(0, 100), "damaged"),
    ],
)
def test_what_is_no_photo_is_said(data: bytes, says: str) -> None:
    with pytest.raises(PhotoFault, match=says) as caught:
        read_photo(data)
    assert caught.value.reason == "NOT_AN_IMAGE"


def test_a_hundred_megapixels_are_refused_before_they_are_decoded() -> None:
    # only the head is there: nothing could have been decoded
    with pytest.raises(PhotoFault, match=r"at most 64 megapixels, got 100") as caught:
        read_photo(png_head(10_000, 10_000))
    assert caught.value.reason == "IMAGE_TOO_LARGE"
    with pytest.raises(PhotoFault):
        read_photo(png_head(2**31 - 1, 1))


def test_a_cut_jpeg_does_no_harm(picture: BgrImage) -> None:
    whole = coded(picture, "JPEG")
    for length in (3, 20, 200, 600):
        with pytest.raises(PhotoFault):
            read_photo(whole[:length])
