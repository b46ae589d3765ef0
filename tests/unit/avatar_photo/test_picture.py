"""Files that are photos, and files that are not."""

from __future__ import annotations

import io
import json
import struct
import zlib
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from services.avatar.engine import BgrImage
from services.avatar.photo.faults import PhotoFault
from services.avatar.photo.picture import PhotoReader
from tests.unit.avatar_photo.conftest import png

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
def test_known_formats_are_read(
    reader: PhotoReader, picture: BgrImage, kind: str, options: dict[str, int]
) -> None:
    read = reader.read(coded(picture, kind, **options))
    assert read.shape == picture.shape
    assert np.abs(read.astype(int) - picture).mean() < 6


@pytest.mark.parametrize(
    ("orientation", "turns"),
    [(1, 0), (3, 2), (6, 1), (8, 3)],
)
def test_a_photo_is_turned_as_its_exif_says(
    reader: PhotoReader, picture: BgrImage, orientation: int, turns: int
) -> None:
    stored = np.ascontiguousarray(np.rot90(picture, turns))
    read = reader.read(coded(stored, "JPEG", orientation, quality=97))
    assert read.shape == picture.shape
    assert np.abs(read.astype(int) - picture).mean() < 4


def test_grey_and_transparent_pictures_are_read(reader: PhotoReader, picture: BgrImage) -> None:
    for mode in ("L", "RGBA", "P"):
        file = io.BytesIO()
        Image.fromarray(picture[..., ::-1]).convert(mode).save(file, "PNG")
        assert reader.read(file.getvalue()).shape == picture.shape


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
def test_what_is_no_photo_is_said(reader: PhotoReader, data: bytes, says: str) -> None:
    with pytest.raises(PhotoFault, match=says) as caught:
        reader.read(data)
    assert caught.value.reason == "NOT_AN_IMAGE"


def test_a_hundred_megapixels_are_refused_before_they_are_decoded(reader: PhotoReader) -> None:
    # only the head is there: nothing could have been decoded
    with pytest.raises(PhotoFault, match=r"at most 64 megapixels, got 100") as caught:
        reader.read(png_head(10_000, 10_000))
    assert caught.value.reason == "IMAGE_TOO_LARGE"
    with pytest.raises(PhotoFault):
        reader.read(png_head(2**31 - 1, 1))


def test_a_cut_jpeg_does_no_harm(reader: PhotoReader, picture: BgrImage) -> None:
    whole = coded(picture, "JPEG")
    for length in (3, 20, 200, 600):
        with pytest.raises(PhotoFault):
            reader.read(whole[:length])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_photo_is_scaled_down(reader: PhotoReader, kind: str) -> None:
    ramp = np.linspace(0, 255, 8_000).astype(np.uint8)
    large = np.broadcast_to(ramp[None, :, None], (8_000, 8_000, 3))
    read = reader.read(coded(np.ascontiguousarray(large), kind))
    assert read.shape == (3605, 3605, 3)
    assert np.abs(read[1_800, ::10, 0].astype(float) - np.linspace(0, 255, 361)).max() < 4


def test_a_large_photo_is_turned_as_its_exif_says(reader: PhotoReader) -> None:
    stored = np.zeros((4_000, 8_000, 3), np.uint8)
    stored[:2_000] = 255
    read = reader.read(coded(stored, "JPEG", orientation=6))  # its top is at the right
    height, width = read.shape[:2]
    assert height == pytest.approx(2 * width, abs=2)
    assert read[height // 2, 9 * width // 10].min() > 250
    assert read[height // 2, width // 10].max() < 5


def test_a_photo_of_a_phone_keeps_its_pixels(reader: PhotoReader) -> None:
    assert reader.read(png(np.zeros((3_024, 4_032, 3), np.uint8))).shape == (3_024, 4_032, 3)


def test_a_photo_that_breaks_its_decoder_breaks_nothing_else() -> None:
    fine = {"act": "answer", "header": {"shape": [2, 3, 3]}, "bytes": 18}
    with closing(PhotoReader("testing.hostile.job")) as reader:
        for command, why in [
            ({"act": "segfault"}, "the photo is damaged"),
            ({"act": "allocate"}, "takes too much memory"),
            ({"act": "flood", "bytes": 1 << 40}, "the photo is damaged"),
            ({**fine, "bytes": 17}, "the photo is damaged"),
            ({**fine, "header": {"shape": [1 << 40, 1 << 40, 3]}}, "the photo is damaged"),
            ({**fine, "header": {"shape": [-2, -3, 3]}}, "the photo is damaged"),
            ({**fine, "header": {"shape": "large"}}, "the photo is damaged"),
        ]:
            with pytest.raises(PhotoFault, match=why) as raised:
                reader.read(json.dumps(command).encode())
            assert raised.value.reason == "NOT_AN_IMAGE"
            assert reader.read(json.dumps(fine).encode()).shape == (2, 3, 3)
