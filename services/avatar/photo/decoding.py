"""Decodes a photo; runs in a worker process, see docs/sandbox.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from services.runtime.sandbox.pictures import decoded, small_pictures
from services.runtime.sandbox.wire import Content

MAX_DECODED_PIXELS: Final = 13_000_000
"""Larger photos are scaled down: no avatar is larger than 1920 pixels."""


def prepare() -> None:
    """Decodes a small picture of each format, for what the libraries load at first use."""
    for file in small_pictures():
        perform({}, file)


def perform(request: Mapping[str, Any], content: Content) -> tuple[Mapping[str, Any], Content]:
    """Decodes a JPEG, PNG or WebP file and rotates it according to its EXIF data.

    Returns:
        The shape; the pixels, blue first.

    Raises:
        RefusedError: See `decoded`.
    """
    small = np.ascontiguousarray(decoded(content, max_pixels=MAX_DECODED_PIXELS))
    return {"shape": list(small.shape)}, small.data.cast("B")
