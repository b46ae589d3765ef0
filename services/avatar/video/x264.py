"""H.264 by libx264, which browsers decode without delay and gateways forward unchanged."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.frame import PictureType

from services.avatar.engine import Frame, VideoSpec
from services.avatar.video.encoder import CodedFrame

_REFERENCE_PIXELS = 512 * 512
_REFERENCE_BITS_PER_S = 1_800_000


class X264Encoder:
    """A `VideoEncoder` on the CPU: constrained baseline, one thread.

    The colours are BT.601 with limited range, as declared in the stream.
    """

    def __init__(self, video: VideoSpec, *, preset: str) -> None:
        self._video = video
        self._frame_count = 0
        bits = round(
            _REFERENCE_BITS_PER_S * (video.width_px * video.height_px / _REFERENCE_PIXELS) ** 0.75
        )
        context = av.CodecContext.create("libx264", "w")
        context.width = video.width_px
        context.height = video.height_px
        context.pix_fmt = "yuv420p"
        context.framerate = Fraction(video.frame_rate_hz)
        context.time_base = Fraction(1, video.frame_rate_hz)
        context.thread_count = 1
        context.options = {
            "preset": preset,
            "tune": "zerolatency",
            "profile": "baseline",
            "crf": "20",
            "x264-params": ":".join(
                (
                    "annexb=1:repeat-headers=1:threads=1:sliced-threads=0:bframes=0:scenecut=0",
                    f"keyint={video.frame_rate_hz}:min-keyint={video.frame_rate_hz}",
                    f"vbv-maxrate={bits // 1000}:vbv-bufsize={bits // 1000}",
                    "colorprim=smpte170m:transfer=smpte170m:colormatrix=smpte170m:range=tv",
                )
            ),
        }
        self._context = context
        self._planes = np.empty((video.height_px * 3 // 2, video.width_px), np.uint8)

    def encode(self, frame: Frame) -> CodedFrame:
        """Encodes the next picture; see `VideoEncoder.encode`."""
        cv2.cvtColor(frame.to_bgr(), cv2.COLOR_BGR2YUV_I420, dst=self._planes)
        coded = av.VideoFrame.from_ndarray(self._planes, format="yuv420p")
        coded.pts = self._frame_count
        coded.time_base = self._context.time_base
        if self._frame_count % self._video.frame_rate_hz == 0:
            coded.pict_type = PictureType.I
        self._frame_count += 1
        packets = self._context.encode(coded)
        if len(packets) != 1:
            raise RuntimeError(f"libx264 returned {len(packets)} packets for one picture")
        return CodedFrame(key_frame=packets[0].is_keyframe, data=bytes(packets[0]))
