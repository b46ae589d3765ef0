"""Media files: writes an answer as MP4 or WAV, and decodes a recorded question.

The frames are never re-encoded. All functions here are CPU-bound; call them in a thread.
"""

from __future__ import annotations

import io
import itertools
import wave
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from anima.common.v1 import common_pb2 as common

QUESTION_RATE_HZ = 16_000
_AAC_BIT_RATE = 96_000
# The most channels of a question that are compared; more are mixed by the decoder.
_MAX_CHANNELS = 8
# A mix with less than this share of the loudest channel's power has lost speech: a quarter is left
# when one of two channels is silent, a half when both hold different sounds.
_WEAK_MIX_POWER = 0.3
DISCLOSURE = "synthetic: made by Anima"
"""Written into every MP4 file, so that nobody takes it for a recording of a person."""
# Formats that only refer to other files or addresses (playlists, "concat") must never be opened for
# a caller.
_AUDIO_FORMATS = "wav,w64,flac,mp3,ogg,aac,aiff,au,caf,amr,asf,matroska,webm,mov,mp4"


class NotAudio(Exception):  # noqa: N818 (named by what it says)
    """A file contains no audio that can be decoded; the text gives the reason."""


class TooLong(Exception):  # noqa: N818
    """A recording is longer than allowed; the text names the limit."""


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


def read_question(data: bytes, *, max_seconds: float) -> NDArray[np.int16]:
    """Decodes a recorded question of any common format.

    Args:
        data: The file.
        max_seconds: The longest recording.

    Returns:
        Mono samples at 16,000 Hz.

    Raises:
        NotAudio: The file contains nothing that can be decoded as audio.
        TooLong: The recording is longer than `max_seconds`.
    """
    pieces: list[NDArray[np.int16]] = []
    count = 0
    options = {"format_whitelist": _AUDIO_FORMATS, "protocol_whitelist": "pipe"}
    try:
        with av.open(io.BytesIO(data), mode="r", options=options) as source:
            if not source.streams.audio:
                raise NotAudio("the file has no audio track")
            stream = source.streams.audio[0]
            layout = stream.codec_context.layout if stream.channels <= _MAX_CHANNELS else "mono"
            resampler = AudioResampler(format="s16", layout=layout, rate=QUESTION_RATE_HZ)
            for frame in itertools.chain(source.decode(stream), [None]):
                for piece in resampler.resample(frame):
                    samples = piece.to_ndarray().astype(np.int16, copy=False)
                    pieces.append(samples.reshape(-1, piece.layout.nb_channels))
                    count += len(pieces[-1])
                if count > max_seconds * QUESTION_RATE_HZ:
                    raise TooLong(f"the recording is longer than {max_seconds:g} s")
    except (av.error.FFmpegError, ValueError) as error:
        raise NotAudio(f"the file cannot be decoded as audio: {error}") from error
    if not count:
        raise NotAudio("the file contains no samples")
    return _mixed(np.concatenate(pieces))


def _mixed(channels: NDArray[np.int16]) -> NDArray[np.int16]:
    """Mixes channels, shape [samples, channels], down to one.

    If the channels cancel each other out, as with a microphone whose wires are crossed, or if only
    one of many carries the speech, the loudest channel is returned instead.
    """
    mix: NDArray[np.float32] = channels.mean(axis=1, dtype=np.float32)
    powers = np.square(channels, dtype=np.float32).mean(axis=0)
    loudest = int(np.argmax(powers))
    if np.square(mix).mean() < _WEAK_MIX_POWER * powers[loudest]:
        return channels[:, loudest].copy()
    return mix.round().astype(np.int16)


def _audio_frame(pcm: bytes, sample_rate_hz: int) -> av.AudioFrame:
    samples = np.frombuffer(pcm, "<i2")[None, :]
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate = sample_rate_hz
    frame.time_base = Fraction(1, sample_rate_hz)
    frame.pts = 0
    return frame
