"""Re-encodes short stretches of H.264, so that they can start at any frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType


@dataclass(frozen=True)
class CodedPicture:
    """One access unit in Annex B form."""

    key_frame: bool
    data: bytes


def decoded(pictures: Sequence[CodedPicture]) -> list[av.VideoFrame]:
    """Decodes frames; the first one must be a key frame."""
    decoder = av.CodecContext.create("h264", "r")
    shown = [frame for picture in pictures for frame in decoder.decode(av.Packet(picture.data))]
    return [*shown, *decoder.decode(None)]


def coded(frames: Sequence[av.VideoFrame], rate_hz: int) -> tuple[CodedPicture, ...]:
    """Encodes frames with the settings of the talking heads, so that a decoder sees no seam."""
    encoder: VideoCodecContext = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = frames[0].width, frames[0].height
    encoder.pix_fmt = "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(rate_hz), Fraction(1, rate_hz)
    encoder.thread_count = 1
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "crf": "18",
        "x264-params": "annexb=1:repeat-headers=1:scenecut=0:bframes=0:"
        "colorprim=smpte170m:transfer=smpte170m:colormatrix=smpte170m:range=tv",
    }
    packets = []
    for number, frame in enumerate(frames):
        plain = frame.reformat(format="yuv420p")
        plain.pts, plain.time_base = number, encoder.time_base
        plain.pict_type = PictureType.NONE if number else PictureType.I
        packets += encoder.encode(plain)
    packets += encoder.encode(None)
    return tuple(CodedPicture(bool(packet.is_keyframe), bytes(packet)) for packet in packets)


def dissolved(
    before: Sequence[av.VideoFrame], after: Sequence[av.VideoFrame]
) -> list[av.VideoFrame]:
    """Dissolves one stretch of frames into another of the same length and size, in equal steps."""
    steps = len(before) + 1
    frames = []
    for step, (old, new) in enumerate(zip(before, after, strict=True), 1):
        mixed = (
            old.to_ndarray(format="yuv420p").astype(np.uint16) * (steps - step)
            + new.to_ndarray(format="yuv420p").astype(np.uint16) * step
            + steps // 2
        ) // steps
        frames.append(av.VideoFrame.from_ndarray(mixed.astype(np.uint8), format="yuv420p"))
    return frames
