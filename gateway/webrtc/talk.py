"""One answer on its way to a peer: its sound at 48 kHz and its pictures, on the clock's ticks."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from anima.common.v1.common_pb2 import MediaChunk
from services.runtime.audio import StreamResampler

CLOCK_HZ = 48_000
"""The clock that sound and pictures share counts samples of Opus."""

_REFILL_TICKS = 240 * CLOCK_HZ // 1000
"""An answer that ran dry goes on once this much has come: one pause is better than many."""


class Talk:
    """The media of one turn.

    Args:
        first: its first chunk, from which on the peer gets the turn; give it to `append` as well.
        start_ticks: when the first sample of that chunk is to be heard.

    Attributes:
        turn_id: the turn.
        epoch: of the session.
        sample_rate_hz: of the turn's own clock.
        start_ticks: moves when the sound has to wait.
        complete: no more media follows.
        idle_frame: where the idle loop goes on; None: nobody said.
        begun: something of it has been heard.
        starved: the sound waits for media.
        underruns: how often the sound had to wait for media that came later.
        frames: how many pictures have come.
        shown_frames: how many have left.
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
        """Tells whether all of it has left."""
        return self.complete and not self._sound.size and not self._pictures

    @property
    def played_samples(self) -> int:
        """The first sample, at the turn's own rate, that has not left."""
        return self._first_sample + self._heard_ticks * self.sample_rate_hz // CLOCK_HZ

    def append(self, chunk: MediaChunk) -> None:
        """Takes more media, in order."""
        samples = np.frombuffer(chunk.audio.pcm, np.dtype("<i2")).astype(np.int16)
        if self._resampler is not None:
            samples = self._resampler.process(samples)
        self._sound = np.concatenate([self._sound, samples])
        for frame in chunk.frames:
            ticks = (frame.start_sample - self._first_sample) * CLOCK_HZ // self.sample_rate_hz
            self._pictures.append((ticks, frame.key_frame, frame.data))
            self.frames += 1

    def finish(self, idle_frame: int | None) -> None:
        """Says that no more media follows."""
        if self._resampler is not None and not self.complete:
            self._sound = np.concatenate([self._sound, self._resampler.finish()])
        self.complete = True
        self.idle_frame = idle_frame

    def take_sound(self, count: int) -> NDArray[np.int16]:
        """Returns the next samples; fewer than `count` where there are no more yet."""
        if self.starved and not self.complete and len(self._sound) < _REFILL_TICKS:
            return self._sound[:0]
        piece, self._sound = self._sound[:count], self._sound[count:]
        self._heard_ticks += len(piece)
        self.begun = self.begun or len(piece) > 0
        return piece

    def next_picture_ticks(self) -> int | None:
        """Returns when the next picture is to be shown; None if it has not come yet."""
        return self.start_ticks + self._pictures[0][0] if self._pictures else None

    def take_picture(self, until_ticks: int, *, only_key_frame: bool) -> bytes | None:
        """Returns the picture that is due; None if none is.

        Args:
            until_ticks: what is later is not due.
            only_key_frame: pictures before the next key frame cannot be shown and are dropped.
        """
        while (due := self.next_picture_ticks()) is not None and due <= until_ticks:
            _, key_frame, data = self._pictures.popleft()
            self.shown_frames += 1
            if key_frame or not only_key_frame:
                return data
        return None
