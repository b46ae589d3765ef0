"""Makes a small JPEG file of a picture; runs in a worker process, see docs/sandbox.md.

The new file has the pixels alone: no place, no camera, no time, no name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import cv2

from gateway.pictures.limits import MAX_JPEG_BYTES, MAX_SIDE_PX
from services.runtime.sandbox.pictures import decoded, scaled, small_pictures
from services.runtime.sandbox.wire import Content

_MAX_PIXELS: Final = 4 * MAX_SIDE_PX**2
_QUALITIES: Final = (88, 78, 65, 50)
_SMALLER: Final = 0.7


def prepare() -> None:
    """Encodes a small picture of each format, for what the libraries load at first use."""
    for file in small_pictures():
        perform({}, file)


def perform(request: Mapping[str, Any], content: Content) -> tuple[Mapping[str, Any], Content]:
    """Decodes a JPEG, PNG or WebP file and encodes it again.

    Returns:
        Width and height; the JPEG file, at most `MAX_JPEG_BYTES`.

    Raises:
        RefusedError: See `decoded`.
    """
    picture = decoded(content, max_pixels=_MAX_PIXELS)
    picture = scaled(picture, MAX_SIDE_PX / max(picture.shape[:2]))
    while True:
        for quality in _QUALITIES:
            options = (cv2.IMWRITE_JPEG_QUALITY, quality)
            jpeg = cv2.imencode(".jpg", picture, options)[1].tobytes()
            if len(jpeg) <= MAX_JPEG_BYTES:
                height, width = picture.shape[:2]
                return {"width_px": width, "height_px": height}, jpeg
        picture = scaled(picture, _SMALLER)
