"""One answer on its way to a peer: its audio at 48 kHz and its frames, in ticks of the clock."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from anima.common.v1.common_pb2 import MediaChunk
from services.runtime.audio import StreamResampler

CLOCK_HZ = 48_000
"""The common clock of audio and video counts samples of Opus."""

_REFILL_TICKS = 240 * CLOCK_HZ // 1000
"""An answer that ran dry resumes once this much has arrived: one pause is better than many."""


class Talk:
    """The media of one turn.

    Args:
        first: The first chunk that the peer receives; pass it to `append` as well.
        start_ticks: The time at which the first sample of that chunk is heard.

    Attributes:
        turn_id: The turn.
        epoch: Of the session.
        sample_rate_hz: The rate of the turn's own clock.
        start_ticks: The start; it moves when the audio has to wait.
        complete: True: no more media follows.
        idle_frame: The frame at which the idle loop continues; None: not known.
        begun: True: a part of it has been heard.
        starved: True: the audio waits for media.
        underruns: The number of times that the audio had to wait for late media.
        frames: The number of received frames.
        shown_frames: The number of sent frames.
    """

    def __init__(self, first: MediaChunk, *, start_ticks: int) -> None:
        self.turn_id = first.header.turn_id
        self.epoch = first.header.epoch
        self.start_ticks = start_ticks
        self.complete = False
        self.idle_frame: int | None = None
        self.begun = False
        self.starved = False
        self.underruns = 0
        self.frames = 0
        self.shown_frames = 0
        self.sample_rate_hz = first.audio.sample_rate_hz
        self._resampler = (
            StreamResampler(self.sample_rate_hz, CLOCK_HZ)
            if self.sample_rate_hz != CLOCK_HZ
            else None
        )
        self._sound: NDArray[np.int16] = np.zeros(0, np.int16)
        self._first_sample = first.audio.start_sample
        self._heard_ticks = 0
        self._pictures: deque[tuple[int, bool, bytes]] = deque()

    @property
    def over(self) -> bool:
        """True if all of it has been sent."""
        return self.complete and not self._sound.size and not self._pictures

    @property
    def played_samples(self) -> int:
        """The first sample, at the turn's own rate, that has not been sent."""
        return self._first_sample + self._heard_ticks * self.sample_rate_hz // CLOCK_HZ

    def append(self, chunk: MediaChunk) -> None:
        """Adds media, in order."""
        samples = np.frombuffer(chunk.audio.pcm, np.dtype("<i2")).astype(np.int16)
        if self._resampler is not None:
            samples = self._resampler.process(samples)
        self._sound = np.concatenate([self._sound, samples])
        for frame in chunk.frames:
            ticks = (frame.start_sample - self._first_sample) * CLOCK_HZ // self.sample_rate_hz
            self._pictures.append((ticks, frame.key_frame, frame.data))
            self.frames += 1

    def finish(self, idle_frame: int | None) -> None:
        """Reports that no more media follows."""
        if self._resampler is not None and not self.complete:
            self._sound = np.concatenate([self._sound, self._resampler.finish()])
        self.complete = True
        self.idle_frame = idle_frame

    def take_sound(self, count: int) -> NDArray[np.int16]:
        """Returns the next samples; fewer than `count` if there are no more yet."""
        if self.starved and not self.complete and len(self._sound) < _REFILL_TICKS:
            return self._sound[:0]
        piece, self._sound = self._sound[:count], self._sound[count:]
        self._heard_ticks += len(piece)
        self.begun = self.begun or len(piece) > 0
        return piece

    def next_picture_ticks(self) -> int | None:
        """Returns when the next frame is due; None if it has not arrived yet."""
        return self.start_ticks + self._pictures[0][0] if self._pictures else None

    def take_picture(self, until_ticks: int, *, only_key_frame: bool) -> bytes | None:
        """Returns the frame that is due; None if none is.

        Args:
            until_ticks: The current time; later frames are not due.
            only_key_frame: True: frames before the next key frame cannot be shown and are dropped.
        """
        while (due := self.next_picture_ticks()) is not None and due <= until_ticks:
            _, key_frame, data = self._pictures.popleft()
            self.shown_frames += 1
            if key_frame or not only_key_frame:
                return data
        return None
