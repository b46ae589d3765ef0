"""Real H.264 for tests: a short clip, encoded once per process."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import av
import numpy as np

WIDTH_PX = 64
HEIGHT_PX = 48
FRAME_RATE_HZ = 25
CLIP_FRAMES = 250


@lru_cache(maxsize=1)
def clip() -> tuple[tuple[bool, bytes], ...]:
    """Returns (key frame, access unit) per frame; a key frame each second."""
    coder = av.CodecContext.create("libx264", "w")
    coder.width, coder.height, coder.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
    coder.framerate, coder.gop_size = Fraction(FRAME_RATE_HZ), FRAME_RATE_HZ
    coder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "x264-params": "repeat-headers=1:annexb=1:scenecut=0",
    }
    units = []
    for number in range(CLIP_FRAMES):
        picture = np.full((HEIGHT_PX, WIDTH_PX, 3), number % 256, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        units += [(bool(packet.is_keyframe), bytes(packet)) for packet in coder.encode(frame)]
    units += [(bool(packet.is_keyframe), bytes(packet)) for packet in coder.encode(None)]
    return tuple(units)
