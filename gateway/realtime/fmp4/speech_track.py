"""Encodes the audio of a turn for the live stream: Opus, or AAC if a player lacks Opus."""

from collections.abc import Iterable
from enum import StrEnum

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from gateway.realtime.fmp4.boxes import Sample, Track, aac_sample_entry, opus_sample_entry
from services.runtime.audio import StreamResampler

_OPUS_RATES_HZ = frozenset({8_000, 12_000, 16_000, 24_000, 48_000})
_OPUS_TICKS_HZ = 48_000  # Opus counts in 48 kHz samples, whatever the input rate
_AAC_RATES_HZ = frozenset({16_000, 22_050, 24_000, 32_000, 44_100, 48_000})


class AudioCodec(StrEnum):
    """The codec of the audio; the value is its name in a media type."""

    OPUS = "opus"
    AAC = "mp4a.40.2"


class SpeechTrack:
    """The audio track of one turn.

    Args:
        codec: The codec.
        sample_rate_hz: The rate of the input samples.
        track_id: The track's number in the container.
    """

    def __init__(self, *, codec: AudioCodec, sample_rate_hz: int, track_id: int) -> None:
        opus = codec is AudioCodec.OPUS
        native = _OPUS_RATES_HZ if opus else _AAC_RATES_HZ
        self._rate_hz = sample_rate_hz if sample_rate_hz in native else 48_000
        self._resampler = (
            StreamResampler(sample_rate_hz, self._rate_hz)
            if self._rate_hz != sample_rate_hz
            else None
        )
        self._encoder = _open_encoder(codec, self._rate_hz)
        self._timescale_hz = _OPUS_TICKS_HZ if opus else self._rate_hz
        self._frame_samples = self._encoder.frame_size
        self._frame_ticks = self._frame_samples * self._timescale_hz // self._rate_hz
        self._sample_type = np.int16 if opus else np.float32
        self._pending: NDArray[np.int16] = np.zeros(0, np.int16)
        self._coded_samples = 0
        self.next_ticks = 0
        self.track = self._describe(opus, track_id)

    def encode(self, samples: NDArray[np.int16]) -> list[Sample]:
        """Encodes mono samples, shape [n], and returns the packets that are complete."""
        if self._resampler is not None:
            samples = self._resampler.process(samples)
        return self._collect(self._encode_whole_frames(samples))

    def finish(self) -> list[Sample]:
        """Encodes the rest, padded with silence to a whole packet, and ends the track."""
        if self._resampler is not None:
            self._pending = np.concatenate([self._pending, self._resampler.finish()])
        padding = np.zeros(-len(self._pending) % self._frame_samples, np.int16)
        packets = list(self._encode_whole_frames(padding))
        return self._collect([*packets, *map(bytes, self._encoder.encode(None))])

    def _encode_whole_frames(self, samples: NDArray[np.int16]) -> Iterable[bytes]:
        self._pending = np.concatenate([self._pending, samples])
        while len(self._pending) >= self._frame_samples:
            piece = self._pending[: self._frame_samples]
            self._pending = self._pending[self._frame_samples :]
            yield from map(bytes, self._encoder.encode(self._frame(piece)))

    def _frame(self, piece: NDArray[np.int16]) -> av.AudioFrame:
        if self._sample_type is np.float32:
            values = (piece.astype(np.float32) / 32_768.0).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(values, format="fltp", layout="mono")
        else:
            frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = self._rate_hz
        frame.pts = self._coded_samples
        self._coded_samples += len(piece)
        return frame

    def _collect(self, packets: Iterable[bytes]) -> list[Sample]:
        samples = [Sample(packet, self._frame_ticks) for packet in packets]
        self.next_ticks += len(samples) * self._frame_ticks
        return samples

    def _describe(self, opus: bool, track_id: int) -> Track:
        extradata = self._encoder.extradata or b""
        if opus:
            pre_skip = int.from_bytes(extradata[10:12], "little")  # of OpusHead, RFC 7845 5.1
            entry, skipped = opus_sample_entry(pre_skip), pre_skip
        else:
            # FFmpeg's encoder puts one packet of priming before the audio.
            entry, skipped = aac_sample_entry(extradata, self._rate_hz), self._frame_samples
        return Track(
            track_id=track_id,
            timescale_hz=self._timescale_hz,
            sample_entry=entry,
            skipped_ticks=skipped,
        )


def _open_encoder(codec: AudioCodec, rate_hz: int) -> AudioCodecContext:
    if codec is AudioCodec.OPUS:
        encoder = av.CodecContext.create("libopus", "w")
        encoder.options = {"application": "audio", "frame_duration": "20"}
        encoder.format = av.AudioFormat("s16")
    else:
        encoder = av.CodecContext.create("aac", "w")
        encoder.format = av.AudioFormat("fltp")
    encoder.layout = "mono"
    encoder.sample_rate = rate_hz
    encoder.bit_rate = 48_000
    encoder.open()
    return encoder
