"""Muxes one turn into a live, fragmented MP4: its H.264 unchanged, its audio encoded.

The turn's audio is the clock: each frame is placed at the sample at which it is shown, and an edit
list hides the encoder's priming, so audio and video stay in sync to the sample.
"""

from collections.abc import Sequence

import numpy as np

from anima.common.v1.common_pb2 import MediaChunk, VideoFormat, VideoFrame
from gateway.realtime.fmp4.boxes import Run, Sample, Track, avc_sample_entry, fragment, init_segment
from gateway.realtime.fmp4.h264 import ParameterSets, to_length_prefixed
from gateway.realtime.fmp4.speech_track import AudioCodec, SpeechTrack
from services.runtime.observing.logs import get_logger

_AUDIO = 1
_VIDEO = 2


class LiveMuxer:
    """The muxer of one turn.

    The first chunk decides: with a key frame that carries its parameter sets, the stream has video
    and audio, otherwise only audio. The stream's time starts with the first chunk. Not thread-safe;
    a call takes well under a millisecond for 100 ms of media.

    Attributes:
        has_video: Whether the stream has video.
        pictures_end_sample: The turn's sample at which the last frame ends.

    Args:
        audio_codec: The codec of the audio.
        sample_rate_hz: The rate of the turn's audio.
        video: The format of the video.
        first: The first chunk of the turn; pass it to `append` as well.
    """

    def __init__(
        self,
        *,
        audio_codec: AudioCodec,
        sample_rate_hz: int,
        video: VideoFormat,
        first: MediaChunk,
    ) -> None:
        self._speech = SpeechTrack(
            codec=audio_codec, sample_rate_hz=sample_rate_hz, track_id=_AUDIO
        )
        self._sample_rate_hz = sample_rate_hz
        self._frame_rate_hz = video.frame_rate_hz or 25
        self._origin_sample = first.audio.start_sample
        self.pictures_end_sample = self._origin_sample
        self._picture_start = self._origin_sample
        self._sequence = 0
        tracks, codecs = [self._speech.track], str(audio_codec)
        parameters = _parameter_sets(first)
        self.has_video = parameters is not None
        if parameters is not None:
            tracks.append(_video_track(parameters, video, sample_rate_hz))
            codecs = f"{parameters.codec},{codecs}"
        kind = "video" if self.has_video else "audio"
        self.media_type = f'{kind}/mp4; codecs="{codecs}"'
        self.init = init_segment(tracks)

    def append(self, chunk: MediaChunk) -> bytes:
        """Returns the fragment of a chunk; empty if nothing of it is complete yet."""
        samples = np.frombuffer(chunk.audio.pcm, np.dtype("<i2")).astype(np.int16)
        start_ticks = self._speech.next_ticks
        return self._fragment(start_ticks, self._speech.encode(samples), chunk.frames)

    def finish(self) -> bytes:
        """Returns the last fragment, with the audio that was still in the encoder."""
        start_ticks = self._speech.next_ticks
        return self._fragment(start_ticks, self._speech.finish(), ())

    def _fragment(
        self, audio_start: int, audio: Sequence[Sample], frames: Sequence[VideoFrame]
    ) -> bytes:
        runs = []
        if audio:
            runs.append(Run(_AUDIO, audio_start, audio))
        if frames and self.has_video:
            pictures = [self._picture(frame) for frame in frames]
            runs.append(Run(_VIDEO, frames[0].start_sample - self._origin_sample, pictures))
            self.pictures_end_sample = frames[-1].start_sample + pictures[-1].duration_ticks
        if not runs:
            return b""
        self._sequence += 1
        return fragment(self._sequence, runs)

    def _picture(self, frame: VideoFrame) -> Sample:
        number, rate = frame.frame_number, self._sample_rate_hz
        # Rates that do not divide evenly lead to frames of unequal duration; none may leave a gap.
        length = number * rate // self._frame_rate_hz - (number - 1) * rate // self._frame_rate_hz
        apart = frame.start_sample - self._picture_start
        self._picture_start = frame.start_sample
        if apart > 3 * length // 2:  # a slow renderer is asked for fewer frames a second
            length = apart
        return Sample(to_length_prefixed(frame.data), length, sync=frame.key_frame)


def _parameter_sets(first: MediaChunk) -> ParameterSets | None:
    if not first.frames or not first.frames[0].key_frame:
        return None
    try:
        return ParameterSets.of_access_unit(first.frames[0].data)
    except ValueError as error:
        get_logger().warning(
            "the video is left out", turn_id=first.header.turn_id, problem=str(error)
        )
        return None


def _video_track(parameters: ParameterSets, video: VideoFormat, sample_rate_hz: int) -> Track:
    entry = avc_sample_entry(parameters.decoder_configuration(), video.width_px, video.height_px)
    return Track(
        track_id=_VIDEO,
        timescale_hz=sample_rate_hz,
        sample_entry=entry,
        width_px=video.width_px,
        height_px=video.height_px,
    )
