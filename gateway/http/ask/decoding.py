"""Decodes a recorded question; runs in a worker process, see docs/sandbox.md."""

from __future__ import annotations

import io
import itertools
import wave
from collections.abc import Mapping
from typing import Any, Final

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from services.runtime.sandbox.jobs import RefusedError
from services.runtime.sandbox.wire import Content

QUESTION_RATE_HZ: Final = 16_000
TOO_LONG: Final = "TOO_LONG"
NOT_AUDIO: Final = "NOT_AUDIO"
# The most channels of a question that are compared; more are mixed by the decoder.
_MAX_CHANNELS: Final = 8
# A mix with less than this share of the loudest channel's power has lost speech: a quarter is left
# when one of two channels is silent, a half when both hold different sounds.
_WEAK_MIX_POWER: Final = 0.3
# Formats that only refer to other files or addresses (playlists, "concat") must never be opened for
# a caller.
_AUDIO_FORMATS: Final = "wav,w64,flac,mp3,ogg,aac,aiff,au,caf,amr,asf,matroska,webm,mov,mp4"


def prepare() -> None:
    """Decodes a short recording, for what the libraries load at first use."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(48_000)
        out.writeframes(bytes(48_000))
    perform({"max_s": 1.0}, file.getvalue())


def perform(request: Mapping[str, Any], content: Content) -> tuple[Mapping[str, Any], Content]:
    """Decodes a recording of any common format.

    Args:
        request: `max_s`, the longest recording, s.
        content: The file.

    Returns:
        The number of samples; the samples, mono int16 at 16,000 Hz.

    Raises:
        RefusedError: `NOT_AUDIO` or `TOO_LONG`.
    """
    samples = decode(content, max_s=float(request["max_s"]))
    return {"samples": len(samples)}, samples.astype("<i2").tobytes()


def decode(data: Content, *, max_s: float) -> NDArray[np.int16]:
    """Returns the samples of a recording, mono at 16,000 Hz.

    Raises:
        RefusedError: `NOT_AUDIO` if the file contains nothing that can be decoded as audio,
            `TOO_LONG` if the recording is longer than `max_s`.
    """
    pieces: list[NDArray[np.int16]] = []
    count = 0
    options = {"format_whitelist": _AUDIO_FORMATS, "protocol_whitelist": "pipe"}
    try:
        with av.open(io.BytesIO(data), mode="r", options=options) as source:
            if not source.streams.audio:
                raise RefusedError(NOT_AUDIO, "the file has no audio track")
            stream = source.streams.audio[0]
            layout = stream.codec_context.layout if stream.channels <= _MAX_CHANNELS else "mono"
            resampler = AudioResampler(format="s16", layout=layout, rate=QUESTION_RATE_HZ)
            for frame in itertools.chain(source.decode(stream), [None]):
                for piece in resampler.resample(frame):
                    samples = piece.to_ndarray().astype(np.int16, copy=False)
                    pieces.append(samples.reshape(-1, piece.layout.nb_channels))
                    count += len(pieces[-1])
                if count > max_s * QUESTION_RATE_HZ:
                    raise RefusedError(TOO_LONG, f"the recording is longer than {max_s:g} s")
    except (av.error.FFmpegError, ValueError) as error:
        raise RefusedError(NOT_AUDIO, f"the file cannot be decoded as audio: {error}") from error
    if not count:
        raise RefusedError(NOT_AUDIO, "the file contains no samples")
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
