"""Decodes the service's video."""

from __future__ import annotations

from collections.abc import Iterable

import av
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def decode(access_units: Iterable[bytes]) -> list[Picture]:
    """Returns the pictures, BGR."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    pictures: list[Picture] = []
    for data in access_units:
        pictures += [_bgr(frame) for frame in decoder.decode(av.Packet(data))]
    pictures += [_bgr(frame) for frame in decoder.decode(None)]
    return pictures


def _bgr(frame: av.VideoFrame) -> Picture:
    return np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def nal_types(data: bytes) -> list[int]:
    """Returns the types of the NAL units of an access unit in Annex B form."""
    types, at = [], data.find(b"\0\0\1")
    assert at in (0, 1), "does not begin with a start code"
    while at >= 0:
        types.append(data[at + 3] & 31)
        at = data.find(b"\0\0\1", at + 3)
    return types
