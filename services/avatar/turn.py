"""One turn on the frame clock: speech in, whole chunks of audio with their coded frames out.

Nothing here knows gRPC or the event loop. One thread at a time uses a turn.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.avatar.engine import FaceStream, VisemeSpan
from services.avatar.video.clock import FrameClock
from services.avatar.video.encoder import CodedFrame, H264Encoder

CHUNKS_PER_S = 10
"""After the first message, which has one frame, a message holds about 100 ms."""


@dataclass(frozen=True, kw_only=True)
class RenderedChunk:
    """Audio with its frames.

    Attributes:
        start_sample: Of the audio, on the clock of the turn.
        samples: The audio, shape (n,).
        first_frame: The number of the first frame, from 0.
        frame_samples: The sample at which each frame is shown.
        frames: The coded frames.
        segment: The clause that the first sample belongs to.
    """

    start_sample: int
    samples: NDArray[np.int16]
    first_frame: int
    frame_samples: list[int]
    frames: list[CodedFrame]
    segment: int


class Turn:
    """The state of one stream."""

    def __init__(self, face: FaceStream, encoder: H264Encoder, clock: FrameClock) -> None:
        self._face = face
        self._encoder = encoder
        self._clock = clock
        self._pending: deque[NDArray[np.int16]] = deque()
        self._segments: deque[tuple[int, int]] = deque()
        self._received = 0
        self._flushed = 0
        self._ended = False
        self.frame_count = 0
        self.sample_count = 0
        self.compute_s = 0.0

    @property
    def ended(self) -> bool:
        """True once the end of the audio is known."""
        return self._ended

    @property
    def idle_frame(self) -> int:
        """The frame of the idle loop that fits after the last frame."""
        return self._face.idle_frame()

    @property
    def real_time_factor(self) -> float:
        """Compute time over playing time; 0 before the first frame."""
        return (
            self.compute_s * self._clock.sample_rate_hz / self.sample_count
            if self.sample_count
            else 0.0
        )

    def add_audio(self, samples: NDArray[np.int16], segment: int) -> None:
        """Takes audio that follows what was given before."""
        if len(samples):
            self._segments.append((self._received, segment))
            self._pending.append(samples)
            self._received += len(samples)
            self._face.add_audio(samples)

    def add_visemes(self, spans: Sequence[VisemeSpan]) -> None:
        """Takes visemes in the order of their start."""
        self._face.add_visemes(spans)

    def flush(self) -> None:
        """Asks for every whole frame of what has been given."""
        self._flushed = self._received

    def end(self) -> None:
        """Says that no audio follows; the last frame is filled up with silence."""
        self._face.end_audio()
        total = self._clock.sample_of(self._clock.frames_to_cover(self._received))
        if total > self._received:
            self._pending.append(np.zeros(total - self._received, np.int16))
            self._received = total
        self._flushed = self._received
        self._ended = True

    def ready_frames(self) -> int:
        """Returns how many frames the next chunk can have now; 0: more speech is needed first.

        A frame can be drawn when its own audio is there and the speech is known a little beyond it:
            by marks, which costs no time when they come before their audio, else by audio.
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
        return self._face.known_until_sample >= wanted

    def render(self, frame_count: int) -> RenderedChunk:
        """Draws and codes the next frames."""
        began = time.thread_time()
        first = self.frame_count
        starts = [self._clock.sample_of(first + i) for i in range(frame_count + 1)]
        frames = [self._encoder.encode(self._face.draw_next()) for _ in range(frame_count)]
        samples = self._take(starts[-1] - starts[0])
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
        self.compute_s += time.thread_time() - began
        return chunk

    def _take(self, count: int) -> NDArray[np.int16]:
        parts = []
        while count:
            head = self._pending.popleft()
            if len(head) > count:
                self._pending.appendleft(head[count:])
                head = head[:count]
            parts.append(head)
            count -= len(head)
        return np.concatenate(parts)

    def _segment_at(self, sample: int) -> int:
        while len(self._segments) > 1 and self._segments[1][0] <= sample:
            self._segments.popleft()
        return self._segments[0][1] if self._segments else 0
