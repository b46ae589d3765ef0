"""The playout of an answer: media and marks are sent to the client on the turn's schedule."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway import metrics
from gateway.pipe import Pipe
from gateway.settings import GatewaySettings
from gateway.turn.events import TurnEvents
from gateway.turn.part import Part
from gateway.turn.playout.gate import Gate
from gateway.turn.playout.schedule import Schedule
from gateway.turn.state import TurnState
from gateway.turn.timing.spans import SpanLog, StageSpan
from services.runtime.audio import MAX_CHUNK_BYTES

_MAX_PIECES = 32
_MAX_MESSAGE_MS = 200
# Media that is not paced comes in bursts; pieces this soon after a message are sent together.
_GATHER_S = 0.01


@dataclass(slots=True)
class Piece:
    """Audio with the frames that belong to it.

    The message for the client is built once, from all pieces that are sent together: in a message,
    audio is copied whenever it is read, set, or put into another message.

    Attributes:
        start_sample: Where it starts on the clock of the turn.
        pcm: Mono int16 samples, little-endian, at the rate of the turn.
        frames: The frames, by their time.
    """

    start_sample: int
    pcm: bytes
    frames: Sequence[common.VideoFrame] = ()

    @property
    def end_sample(self) -> int:
        """The first sample after it."""
        return self.start_sample + len(self.pcm) // 2


class Player(Part):
    """Plays one answer.

    Args:
        state: The answer in progress.
        events: The numbering of messages.
        outbox: The destination of messages.
        schedule: The playout clock.
        spans: When each segment was played.
        settings: The settings of the gateway.
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
        self._loop = asyncio.get_running_loop()
        self._pieces: Pipe[Piece | None] = Pipe(_MAX_PIECES)
        self._complete = False
        self._gathering: asyncio.Future[None] | None = None
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
        self._kept: list[Piece | None] = []

    async def audio(self, chunk: common.AudioChunk) -> None:
        """Takes audio without frames, in order; waits while too much is queued."""
        await self._pieces.put(Piece(chunk.start_sample, chunk.pcm))

    async def media(self, media: common.MediaChunk) -> None:
        """Takes audio with its frames, in order; waits while too much is queued."""
        await self._pieces.put(Piece(media.audio.start_sample, media.audio.pcm, media.frames))

    async def end(self) -> None:
        """Ends the answer after all queued media."""
        self._complete = True
        self._stop_gathering()
        await self._pieces.put(None)

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
            while (pieces := await self._next()) is not None:
                await self._play(pieces)
            await self._send_marks(None)
            await self._schedule.until_played()
        finally:
            if self._span is not None:
                self._span.end()

    async def _next(self) -> list[Piece] | None:
        """Returns the pieces of the next message; None at the end.

        Queued pieces are merged into one message, which halves their cost.
        """
        first = self._kept.pop() if self._kept else await self._pieces.get()
        if first is None:
            return None
        pieces = [first]
        if not first.start_sample:
            return pieces
        longest = self._settings.sample_rate_hz * _MAX_MESSAGE_MS // 1000
        if self._state.question.paced:
            self._join(pieces, longest)
            return pieces
        if not first.frames:
            longest = MAX_CHUNK_BYTES // 2
        self._join(pieces, longest)
        if not self._kept:
            await self._gather()
            self._join(pieces, longest)
        return pieces

    def _join(self, pieces: list[Piece], longest: int) -> None:
        """Adds queued pieces that fit into the same message, up to a number of samples."""
        start = pieces[0].start_sample
        segment = self._segment_at(start)
        while len(self._pieces):
            more = self._pieces.get_now()
            if (
                more is None
                or more.start_sample != pieces[-1].end_sample
                or more.end_sample - start > longest
                or self._segment_at(more.start_sample) != segment
            ):
                self._kept.append(more)
                break
            pieces.append(more)

    async def _gather(self) -> None:
        """Waits for a moment after the last message, and until the client has read it.

        The end of the answer ends the wait: nothing more can come.
        """
        wait_s = self._sent_at + _GATHER_S - self._loop.time()
        if wait_s > 0 and not self._complete:
            self._gathering = self._loop.create_future()
            timer = self._loop.call_later(wait_s, self._stop_gathering)
            try:
                await self._gathering
            finally:
                timer.cancel()
                self._gathering = None
        await self._outbox.until_room(unread=0)

    def _stop_gathering(self) -> None:
        if self._gathering is not None and not self._gathering.done():
            self._gathering.set_result(None)

    async def _play(self, pieces: Sequence[Piece]) -> None:
        schedule = self._schedule
        start, end = pieces[0].start_sample, pieces[-1].end_sample
        await schedule.until_due(start)
        metrics.LATENESS_SECONDS.observe(schedule.lateness_s(start))
        await self._send_marks(end)
        segment = self._segment_at(start)
        self._follow(segment)
        await self._outbox.put(self._message(pieces, segment))
        schedule.sent(end)
        self._sent_at = self._loop.time()
        if not self._state.first_media_us:
            self._state.first_media_us = max(1, self._spans.elapsed_us())
            metrics.FIRST_MEDIA_SECONDS.observe(self._state.first_media_us / 1e6)

    def _message(self, pieces: Sequence[Piece], segment: int) -> pb.ConverseResponse:
        header = self._events.numbered("media", segment=segment)
        message = pb.ConverseResponse()
        media = message.media
        media.header.CopyFrom(header)
        audio = media.audio
        audio.header.CopyFrom(header)
        audio.start_sample = pieces[0].start_sample
        audio.sample_rate_hz = self._settings.sample_rate_hz
        audio.pcm = pieces[0].pcm if len(pieces) == 1 else b"".join([each.pcm for each in pieces])
        for each in pieces:
            if each.frames:
                media.frames.extend(each.frames)
        return message

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
