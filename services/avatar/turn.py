"""One turn on the frame clock: takes speech, produces chunks of audio with their encoded frames.

This module is independent of gRPC. Speech may be added while frames are being drawn.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.avatar.engine import FaceStream, Frame, FrameWindow, VisemeSpan
from services.avatar.sample_queue import SampleQueue
from services.avatar.video.clock import FrameClock
from services.avatar.video.encoder import CodedFrame, VideoEncoder
from services.runtime.process.compute import Compute

CHUNKS_PER_S = 10
"""The first message has one frame; each later one holds about 100 ms."""


@dataclass(frozen=True, kw_only=True)
class RenderedChunk:
    """Audio with its frames.

    Attributes:
        start_sample: The first sample of the audio, on the clock of the turn.
        samples: The audio, shape (n,).
        first_frame: The number of the first frame, from 0.
        frame_samples: The sample at which each frame is shown.
        frames: The encoded frames.
        segment: The clause that the first sample belongs to.
    """

    start_sample: int
    samples: NDArray[np.int16]
    first_frame: int
    frame_samples: list[int]
    frames: list[CodedFrame]
    segment: int


class Turn:
    """The state of one stream.

    Args:
        face: Draws the frames.
        encoder: Encodes them.
        clock: The frame clock.
        coding: Runs the encoder.

    Attributes:
        frame_count: The number of frames drawn and encoded.
        sample_count: The sample up to which they reach.
        render_s: The time spent drawing and encoding.
    """

    def __init__(
        self, face: FaceStream, encoder: VideoEncoder, clock: FrameClock, coding: Compute
    ) -> None:
        self._face = face
        self._encoder = encoder
        self._clock = clock
        self._coding = coding
        self._pending = SampleQueue()
        self._undrawn = SampleQueue()
        self._undrawn_visemes: list[VisemeSpan] = []
        self._segments: deque[tuple[int, int]] = deque()
        self._received = 0
        self._known_until = 0
        self._flushed = 0
        self._ended = False
        self.frame_count = 0
        self.sample_count = 0
        self.render_s = 0.0

    @property
    def ended(self) -> bool:
        """Whether the end of the audio is known."""
        return self._ended

    @property
    def idle_frame(self) -> int:
        """The frame of the idle loop that continues the last frame."""
        return self._face.idle_frame()

    @property
    def real_time_factor(self) -> float:
        """Drawing and encoding time over playing time; 0 before the first frame."""
        return (
            self.render_s * self._clock.sample_rate_hz / self.sample_count
            if self.sample_count
            else 0.0
        )

    def add_audio(self, samples: NDArray[np.int16], segment: int) -> None:
        """Appends audio."""
        if not len(samples):
            return
        if not self._segments or self._segments[-1][1] != segment:
            self._segments.append((self._received, segment))
        self._pending.put(samples)
        self._undrawn.put(samples)
        self._received += len(samples)
        self._known_until = max(self._known_until, self._received)

    def add_visemes(self, spans: Sequence[VisemeSpan]) -> None:
        """Adds visemes, ordered by start."""
        self._undrawn_visemes += spans
        if self._face.follows_visemes:
            self._known_until = max(self._known_until, *(span.end_sample for span in spans))

    def flush(self) -> None:
        """Requests every complete frame of the audio so far."""
        self._flushed = self._received

    def end(self) -> None:
        """Marks the end of the audio; the last frame is padded with silence."""
        total = self._clock.sample_of(self._clock.frames_to_cover(self._received))
        self._pending.put(np.zeros(total - self._received, np.int16))
        self._received = total
        self._flushed = self._received
        self._ended = True

    def ready_frames(self) -> int:
        """Returns how many frames the next chunk can have now; 0 if more speech is needed.

        A frame can be drawn when its own audio has arrived and the speech just beyond it is known:
        from visemes, which adds no delay when they precede their audio, else from audio.
        """
        full = 1 if self.frame_count == 0 else max(1, self._clock.frame_rate_hz // CHUNKS_PER_S)
        ready = 0
        while ready < full and self._is_ready(self.frame_count + ready):
            ready += 1
        if ready == full:
            return full
        asked_for = self._clock.sample_of(self.frame_count + ready) <= self._flushed
        return ready if asked_for else 0

    def _is_ready(self, frame: int) -> bool:
        end = self._clock.sample_of(frame + 1)
        if end > self._received:
            return False
        if end <= self._flushed:
            return True
        wanted = self._clock.sample_of(frame) + self._face.look_ahead_samples
        return self._known_until >= wanted

    async def render(self, frame_count: int) -> RenderedChunk:
        """Draws and encodes the next frames.

        Args:
            frame_count: The number of frames, at most `ready_frames()`.
        """
        began = time.perf_counter()
        first = self.frame_count
        starts = [self._clock.sample_of(first + i) for i in range(frame_count + 1)]
        drawn = await self._face.frames(self._window(frame_count))
        frames = await self._coding.run(self._encode, drawn)
        samples = self._pending.take(starts[-1] - starts[0])
        chunk = RenderedChunk(
            start_sample=starts[0],
            samples=samples,
            first_frame=first,
            frame_samples=starts[:-1],
            frames=frames,
            segment=self._segment_at(starts[0]),
        )
        self.frame_count += frame_count
        self.sample_count = starts[-1]
        self.render_s += time.perf_counter() - began
        return chunk

    def close(self) -> None:
        """Releases the face."""
        self._face.close()

    def _window(self, frame_count: int) -> FrameWindow:
        visemes, self._undrawn_visemes = self._undrawn_visemes, []
        return FrameWindow(
            frame_count=frame_count,
            visemes=visemes,
            samples=self._undrawn.take(len(self._undrawn)),
            ended=self._ended,
        )

    def _encode(self, frames: Sequence[Frame]) -> list[CodedFrame]:
        return [self._encoder.encode(frame) for frame in frames]

    def _segment_at(self, sample: int) -> int:
        while len(self._segments) > 1 and self._segments[1][0] <= sample:
            self._segments.popleft()
        return self._segments[0][1] if self._segments else 0
