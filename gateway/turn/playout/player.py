"""The playing of an answer: media and marks leave for the client on the turn's schedule."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway import metrics
from gateway.settings import GatewaySettings
from gateway.turn.events import TurnEvents
from gateway.turn.part import Part
from gateway.turn.playout.gate import Gate
from gateway.turn.playout.schedule import Schedule
from gateway.turn.state import TurnState
from gateway.turn.timing.spans import SpanLog, StageSpan
from services.runtime.audio import MAX_CHUNK_BYTES

_MAX_MEDIA = 32
_MAX_MESSAGE_MS = 200
# Media that is not paced comes in bursts: what comes so soon after a message is gathered into one.
_GATHER_S = 0.01


class Player(Part):
    """Plays one answer.

    Args:
        state: The answer under way.
        events: Numbers the messages.
        outbox: Where they go.
        schedule: The playout clock.
        spans: When each segment was played.
        settings: The settings of the gateway.

    Attributes:
        media: The media to play, in order, None at the end.
    """

    def __init__(
        self,
        state: TurnState,
        *,
        events: TurnEvents,
        outbox: Gate,
        schedule: Schedule,
        spans: SpanLog,
        settings: GatewaySettings,
    ) -> None:
        super().__init__()
        self.media: asyncio.Queue[common.MediaChunk | None] = asyncio.Queue(_MAX_MEDIA)
        self._state = state
        self._events = events
        self._outbox = outbox
        self._schedule = schedule
        self._spans = spans
        self._settings = settings
        self._marks: deque[common.Marks] = deque()
        self._segment_starts: list[int] = []
        self._segments: list[int] = []
        self._span: StageSpan | None = None
        self._playing = 0
        self._sent_at = float("-inf")
        self._kept: list[common.MediaChunk | None] = []

    def add_marks(self, marks: common.Marks) -> None:
        """Takes marks whose media follows."""
        self._marks.append(marks)

    def add_segment(self, segment: int, start_sample: int) -> None:
        """Records where the audio of a segment starts; the first call for a segment counts."""
        if not self._segments or self._segments[-1] != segment:
            self._segments.append(segment)
            self._segment_starts.append(start_sample)

    async def play(self) -> None:
        """Sends the media on its schedule and waits until all of it has been played."""
        try:
            await self._outbox.until_open()
            while (media := await self._next()) is not None:
                await self._play(media)
            await self._send_marks(None)
            await self._schedule.until_played()
        finally:
            if self._span is not None:
                self._span.end()

    async def _next(self) -> common.MediaChunk | None:
        """Returns the next message. Queued media is merged into one, which halves the cost."""
        media = self._kept.pop() if self._kept else await self.media.get()
        if media is None or not media.audio.start_sample:
            return media
        longest = self._settings.sample_rate_hz * _MAX_MESSAGE_MS // 1000
        if self._state.question.paced:
            self._join(media, longest)
            return media
        if not media.frames:
            longest = MAX_CHUNK_BYTES // 2
        self._join(media, longest)
        if not self._kept:
            await self._gather()
            self._join(media, longest)
        return media

    def _join(self, media: common.MediaChunk, longest: int) -> None:
        """Appends queued media that may leave in the same message, up to a number of samples."""
        pcm = [media.audio.pcm]
        count = len(pcm[0]) // 2
        while not self.media.empty():
            more = self.media.get_nowait()
            if more is None or not self._continues(media, count, more, longest):
                self._kept.append(more)
                break
            pcm.append(more.audio.pcm)
            count += len(more.audio.pcm) // 2
            media.frames.extend(more.frames)
        if len(pcm) > 1:
            media.audio.pcm = b"".join(pcm)

    async def _gather(self) -> None:
        """Waits for a moment after the last message, and until the client has read it."""
        await asyncio.sleep(self._sent_at + _GATHER_S - asyncio.get_running_loop().time())
        await self._outbox.until_room(unread=0)

    def _continues(
        self, media: common.MediaChunk, count: int, more: common.MediaChunk, longest: int
    ) -> bool:
        start = media.audio.start_sample
        return (
            count + len(more.audio.pcm) // 2 <= longest
            and more.audio.start_sample == start + count
            and self._segment_at(more.audio.start_sample) == self._segment_at(start)
        )

    async def _play(self, media: common.MediaChunk) -> None:
        schedule = self._schedule
        start = media.audio.start_sample
        end = start + len(media.audio.pcm) // 2
        await schedule.until_due(start)
        metrics.LATENESS_SECONDS.observe(schedule.lateness_s(start))
        await self._send_marks(end)
        segment = self._segment_at(start)
        self._follow(segment)
        header = self._events.numbered("media", segment=segment)
        media.header.CopyFrom(header)
        media.audio.header.CopyFrom(header)
        await self._outbox.put(pb.ConverseResponse(media=media))
        schedule.sent(end)
        self._sent_at = asyncio.get_running_loop().time()
        if not self._state.first_media_us:
            self._state.first_media_us = max(1, self._spans.elapsed_us())
            metrics.FIRST_MEDIA_SECONDS.observe(self._state.first_media_us / 1e6)

    async def _send_marks(self, end_sample: int | None) -> None:
        while self._marks and (end_sample is None or _start(self._marks[0]) < end_sample):
            marks = self._marks.popleft()
            header = self._events.numbered("marks", segment=marks.header.segment)
            marks.header.CopyFrom(header)
            await self._outbox.put(pb.ConverseResponse(marks=marks))

    def _segment_at(self, sample: int) -> int:
        place = bisect_right(self._segment_starts, sample) - 1
        return self._segments[place] if place >= 0 else 0

    def _follow(self, segment: int) -> None:
        if segment != self._playing or self._span is None:
            if self._span is not None:
                self._span.end()
            self._playing = segment
            self._span = self._spans.begin("playout", segment)
            self._span.first_output()


def _start(marks: common.Marks) -> int:
    starts = [word.samples.start_sample for word in marks.words[:1]]
    starts += [viseme.samples.start_sample for viseme in marks.visemes[:1]]
    return min(starts, default=0)
