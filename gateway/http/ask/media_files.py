"""Media files: writes an answer as MP4 or WAV.

The frames are never re-encoded. All functions here are CPU-bound; call them in a thread.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np

from anima.common.v1 import common_pb2 as common

_AAC_BIT_RATE = 96_000
DISCLOSURE = "synthetic: made by Anima"
"""Written into every MP4 file, so that nobody takes it for a recording of a person."""


def to_wav(pcm: bytes, *, sample_rate_hz: int) -> bytes:
    """Writes mono int16 samples as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sample_rate_hz)
        out.writeframes(pcm)
    return file.getvalue()


def to_mp4(
    frames: Sequence[common.VideoFrame], *, frame_rate_hz: int, pcm: bytes, sample_rate_hz: int
) -> bytes:
    """Writes encoded frames and audio as an MP4 file with H.264 and AAC.

    The frames are copied unchanged. The muxer writes an edit list for the priming of AAC, so that
    sample 0 is heard with the first frame.

    Args:
        frames: Access units in Annex B, the first one a key frame, one per 1/`frame_rate_hz` s.
        frame_rate_hz: Frames per second.
        pcm: Mono int16 samples; empty: no audio track.
        sample_rate_hz: Samples per second.
    """
    file = io.BytesIO()
    coded = io.BytesIO(b"".join(frame.data for frame in frames))
    with av.open(coded, format="h264") as source, av.open(file, "w", format="mp4") as out:
        out.metadata["comment"] = DISCLOSURE
        # PyAV can create a stream for encoded frames only from a stream that it has read.
        video = out.add_stream_from_template(source.streams.video[0])
        video.time_base = Fraction(1, frame_rate_hz)
        audio = out.add_stream("aac", rate=sample_rate_hz, layout="mono") if pcm else None
        for number, frame in enumerate(frames):
            packet = av.Packet(frame.data)
            packet.stream = video
            packet.time_base = Fraction(1, frame_rate_hz)
            packet.pts = packet.dts = number
            packet.duration = 1
            packet.is_keyframe = frame.key_frame
            out.mux(packet)
        if audio is not None:
            audio.bit_rate = _AAC_BIT_RATE
            out.mux(audio.encode(_audio_frame(pcm, sample_rate_hz)))
            out.mux(audio.encode(None))
    return file.getvalue()


def _audio_frame(pcm: bytes, sample_rate_hz: int) -> av.AudioFrame:
    samples = np.frombuffer(pcm, "<i2")[None, :]
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate = sample_rate_hz
    frame.time_base = Fraction(1, sample_rate_hz)
    frame.pts = 0
    return frame
