"""Decodes a photo; runs in a worker process, see docs/sandbox.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np

from services.runtime.sandbox.pictures import decoded
from services.runtime.sandbox.wire import Content

MAX_DECODED_PIXELS: Final = 13_000_000
"""Larger photos are scaled down: no avatar is larger than 1920 pixels."""


def prepare() -> None:
    """Decodes a small picture of each format, for what the libraries load at first use."""
    cv2.setNumThreads(1)
    picture = np.zeros((8, 8, 3), np.uint8)
    for ending in (".jpg", ".png", ".webp"):
        perform({}, cv2.imencode(ending, picture)[1].tobytes())


def perform(request: Mapping[str, Any], content: Content) -> tuple[Mapping[str, Any], Content]:
    """Decodes a JPEG, PNG or WebP file and rotates it according to its EXIF data.

    Returns:
        The shape; the pixels, blue first.

    Raises:
        RefusedError: See `decoded`.
    """
    small = np.ascontiguousarray(decoded(content, max_pixels=MAX_DECODED_PIXELS))
    return {"shape": list(small.shape)}, small.data.cast("B")
