"""Converts a session's media to messages: live fMP4, or PCM for clients without video."""

import base64
import itertools
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Protocol

import numpy as np

from anima.common.v1.common_pb2 import MediaChunk, VideoFormat
from gateway.realtime.fmp4.fragments import LiveMuxer
from gateway.realtime.fmp4.speech_track import AudioCodec
from services.runtime.audio import StreamResampler

MEDIA_VERSION = 1
_HEADER = struct.Struct(">BBHII")
# A player waits for the video of a stream that has video, but a lost face sends no more of it.
_PICTURES_MISSED_S = 0.3


class MediaKind(IntEnum):
    """The content of a binary message to the client."""

    INIT = 1
    FRAGMENT = 2
    LAST = 3


class TurnMedia(Protocol):
    """Makes the messages of one session's media: JSON events and binary messages, in order."""

    def append(self, chunk: MediaChunk) -> list[dict[str, Any] | bytes]:
        """Returns the messages of a chunk. CPU-bound: not for the event loop."""

    def finish(self) -> list[dict[str, Any] | bytes]:
        """Returns the last messages of the current turn; empty if there is none."""

    def drop(self) -> None:
        """Drops the current turn, which was interrupted."""


class Fmp4Media:
    """Live MP4 for a player: one stream per turn, and a second one without video if it stops.

    Args:
        audio_codec: The codec of the audio.
        sample_rate_hz: Of the answers' audio.
        video: The format of the video.
    """

    def __init__(self, *, audio_codec: AudioCodec, sample_rate_hz: int, video: VideoFormat) -> None:
        self._audio_codec = audio_codec
        self._sample_rate_hz = sample_rate_hz
        self._video = video
        self._numbers = itertools.count(1)
        self._number = 0
        self._muxer: LiveMuxer | None = None
        self._turn: tuple[str, int] = ("", 0)

    def append(self, chunk: MediaChunk) -> list[dict[str, Any] | bytes]:
        """Returns the messages of a chunk; a turn starts with its announcement and init segment."""
        messages: list[dict[str, Any] | bytes] = []
        turn = (chunk.header.turn_id, chunk.header.epoch)
        if self._muxer is None or turn != self._turn or self._misses_pictures(chunk):
            messages += self.finish()
            messages += self._open(chunk)
        if self._muxer is not None and (fragment := self._muxer.append(chunk)):
            messages.append(self._message(MediaKind.FRAGMENT, fragment))
        return messages

    def finish(self) -> list[dict[str, Any] | bytes]:
        """Returns the rest of the stream and its end."""
        if self._muxer is None:
            return []
        left = self._muxer.finish()
        messages: list[dict[str, Any] | bytes] = []
        if left:
            messages.append(self._message(MediaKind.FRAGMENT, left))
        messages.append(self._message(MediaKind.LAST, b""))
        self._muxer = None
        return messages

    def drop(self) -> None:
        """Drops the stream."""
        self._muxer = None

    def _misses_pictures(self, chunk: MediaChunk) -> bool:
        if self._muxer is None or not self._muxer.has_video or chunk.frames:
            return False
        end_sample = chunk.audio.start_sample + len(chunk.audio.pcm) // 2
        missed = end_sample - self._muxer.pictures_end_sample
        return missed > _PICTURES_MISSED_S * self._sample_rate_hz

    def _open(self, chunk: MediaChunk) -> Iterator[dict[str, Any] | bytes]:
        self._turn = (chunk.header.turn_id, chunk.header.epoch)
        self._number = next(self._numbers)
        self._muxer = LiveMuxer(
            audio_codec=self._audio_codec,
            sample_rate_hz=self._sample_rate_hz,
            video=self._video,
            first=chunk,
        )
        yield {
            "type": "anima.media",
            "turn_id": chunk.header.turn_id,
            "epoch": chunk.header.epoch,
            "stream": self._number,
            "media_type": self._muxer.media_type,
            "sample_rate_hz": self._sample_rate_hz,
            "start_sample": chunk.audio.start_sample,
        }
        yield self._message(MediaKind.INIT, self._muxer.init)

    def _message(self, kind: MediaKind, payload: bytes) -> bytes:
        return _HEADER.pack(MEDIA_VERSION, kind, 0, self._number, self._turn[1]) + payload


class PcmMedia:
    """PCM in `response.output_audio.delta`, as expected by clients of the OpenAI Realtime API.

    Args:
        sample_rate_hz: Of the answers' audio.
        output_rate_hz: The rate that the client requested.
    """

    def __init__(self, *, sample_rate_hz: int, output_rate_hz: int) -> None:
        self._rates = (sample_rate_hz, output_rate_hz)
        self._resampler: StreamResampler | None = None
        self._turn_id = ""

    def append(self, chunk: MediaChunk) -> list[dict[str, Any] | bytes]:
        """Returns the audio of a chunk."""
        messages: list[dict[str, Any] | bytes] = []
        if chunk.header.turn_id != self._turn_id:
            messages += self.finish()
            self._turn_id = chunk.header.turn_id
            if self._rates[0] != self._rates[1]:
                self._resampler = StreamResampler(*self._rates)
        pcm = chunk.audio.pcm
        if self._resampler is not None:
            samples = np.frombuffer(pcm, np.dtype("<i2")).astype(np.int16)
            pcm = self._resampler.process(samples).astype("<i2").tobytes()
        return [*messages, *self._delta(pcm)]

    def finish(self) -> list[dict[str, Any] | bytes]:
        """Returns the rest of the resampler and the end of the audio."""
        if not self._turn_id:
            return []
        left = self._resampler.finish().astype("<i2").tobytes() if self._resampler else b""
        messages = [*self._delta(left), self._event("done")]
        self.drop()
        return messages

    def drop(self) -> None:
        """Drops the turn."""
        self._turn_id, self._resampler = "", None

    def _delta(self, pcm: bytes) -> list[dict[str, Any] | bytes]:
        if not pcm:
            return []
        return [self._event("delta") | {"delta": base64.b64encode(pcm).decode()}]

    def _event(self, name: str) -> dict[str, Any]:
        return {
            "type": f"response.output_audio.{name}",
            "response_id": self._turn_id,
            "item_id": f"item_{self._turn_id}",
            "output_index": 0,
            "content_index": 0,
        }
