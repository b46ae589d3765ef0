"""Click-and-flash clips: a white picture and a click at the same sample."""

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from anima.common.v1.common_pb2 import (
    AudioChunk,
    ChunkHeader,
    MediaChunk,
    VideoCodec,
    VideoFormat,
    VideoFrame,
)

SIZE_PX = 64


def video_format(frame_rate_hz: int = 25, size_px: int = SIZE_PX) -> VideoFormat:
    return VideoFormat(
        codec=VideoCodec.VIDEO_CODEC_H264,
        width_px=size_px,
        height_px=size_px,
        frame_rate_hz=frame_rate_hz,
    )


def coded_pictures(
    count: int, flashes: frozenset[int], frame_rate_hz: int, size_px: int = SIZE_PX
) -> list[tuple[bytes, bool]]:
    """Encodes black frames, and white ones for flashes; returns access units and key flags."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width = encoder.height = size_px
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = Fraction(frame_rate_hz)
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "x264-params": "repeat-headers=1:annexb=1",
    }
    packets = []
    for number in range(count):
        shade = 255 if number in flashes else 0
        picture = np.full((size_px, size_px, 3), shade, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [(bytes(packet), packet.is_keyframe) for packet in packets]


def clicking_audio(sample_count: int, clicks: list[int]) -> NDArray[np.int16]:
    """Returns silence with a short burst at each of the samples."""
    samples = np.zeros(sample_count, np.int16)
    for click in clicks:
        burst = samples[click : click + 96]
        burst[:] = 20_000 * np.sign(np.sin(np.arange(len(burst)) * 0.8 + 0.4))
    return samples


def media_chunks(
    *,
    seconds: float = 3.0,
    sample_rate_hz: int = 24_000,
    frame_rate_hz: int = 25,
    flash_frames: frozenset[int] = frozenset({25, 50}),
    turn_id: str = "turn-1",
    epoch: int = 0,
    with_video: bool = True,
    size_px: int = SIZE_PX,
) -> Iterator[MediaChunk]:
    """Yields a turn's media: one frame first, then about 100 ms a chunk."""
    count = round(seconds * frame_rate_hz)
    starts = [number * sample_rate_hz // frame_rate_hz for number in range(count + 1)]
    audio = clicking_audio(starts[-1], [starts[number] for number in sorted(flash_frames)])
    pictures = coded_pictures(count, flash_frames, frame_rate_hz, size_px)
    per_chunk = max(1, round(0.1 * frame_rate_hz))
    edges = [0, *range(1, count, per_chunk), count]
    for sequence, (first, last) in enumerate(itertools.pairwise(edges), start=1):
        header = ChunkHeader(turn_id=turn_id, epoch=epoch, segment=1, sequence=sequence)
        chunk = MediaChunk(header=header)
        chunk.audio.CopyFrom(
            AudioChunk(
                header=header,
                start_sample=starts[first],
                sample_rate_hz=sample_rate_hz,
                pcm=audio[starts[first] : starts[last]].astype("<i2").tobytes(),
            )
        )
        if with_video:
            chunk.frames.extend(
                VideoFrame(
                    start_sample=starts[number],
                    frame_number=number + 1,
                    key_frame=pictures[number][1],
                    data=pictures[number][0],
                )
                for number in range(first, last)
            )
        yield chunk


@dataclass(frozen=True)
class Decoded:
    """The times of flashes and clicks, seconds."""

    flashes_s: list[float]
    clicks_s: list[float]
    picture_count: int
    audio_length_s: float
    video_length_s: float


def decode(mp4: bytes) -> Decoded:
    """Decodes a container with FFmpeg and finds the flashes and the clicks."""
    flashes, pictures, video_end = [], 0, 0.0
    clicks: list[float] = []
    audio_end, last_click = 0.0, -1.0
    with av.open(io.BytesIO(mp4), "r") as container:
        frames: Iterator[object] = container.decode(*container.streams)
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                pictures += 1
                video_end = max(video_end, float(frame.time or 0.0))
                if frame.to_ndarray(format="gray").mean() > 128:
                    flashes.append(float(frame.time or 0.0))
            elif isinstance(frame, av.AudioFrame):
                samples = frame.to_ndarray().astype(np.float64).reshape(-1)
                if frame.format.name.startswith("s16"):
                    samples /= 32_768
                start = float(frame.time or 0.0)
                audio_end = start + frame.samples / frame.sample_rate
                for loud in np.flatnonzero(np.abs(samples) > 0.2):
                    moment = start + loud / frame.sample_rate
                    if moment - last_click > 0.1:
                        clicks.append(moment)
                    last_click = moment
    return Decoded(flashes, clicks, pictures, audio_end, video_end)
