"""The face of an answer: audio to the talking head, media back, or the audio alone.

A talking head that fails is replaced once, from the first sample that has not come back. After a
second failure, or when it is far too slow, the voice goes on without video.
"""

from __future__ import annotations

import asyncio
from collections import deque

from anima.avatar.v1 import avatar_pb2 as avatar
from anima.common.v1 import common_pb2 as common
from gateway.stages.failure import SILENT, StageFailed
from gateway.stages.mesh import Mesh
from gateway.stages.stream import StageStream
from gateway.turn.events import TurnEvents
from gateway.turn.part import Part
from gateway.turn.playout.player import Player
from gateway.turn.playout.schedule import Schedule
from gateway.turn.speaking.rebase import after, rebased_audio, rebased_marks, rebased_media
from gateway.turn.state import TurnState
from gateway.turn.streams import TurnStreams
from gateway.turn.timing.spans import SpanLog, StageSpan
from gateway.wakeup import Changes
from services.runtime.errors import Busy, DeadlineExceeded
from services.runtime.process.tasks import beside

RenderStream = StageStream[avatar.RenderRequest, avatar.RenderResponse]

_TRIES = 2
# Within an answer the voice waits for another face only while the player has media to play.
_REOPEN_TIMEOUT_MS = 300
# How much audio a talking head may hold back until it knows what follows.
_KEPT_S = 0.3


class Face(Part):
    """Shows one answer, or passes its audio straight on; a `SpeechSink`.

    Args:
        state: The answer in progress.
        player: Where media and marks go.
        mesh: The stages.
        streams: The streams of the turn.
        events: The reporter for a lost face.
        spans: When each stage worked.
        schedule: The playout clock, which determines how late the face is.
    """

    def __init__(
        self,
        state: TurnState,
        *,
        player: Player,
        mesh: Mesh,
        streams: TurnStreams,
        events: TurnEvents,
        spans: SpanLog,
        schedule: Schedule,
    ) -> None:
        super().__init__()
        self._state = state
        self._player = player
        self._mesh = mesh
        self._streams = streams
        self._events = events
        self._spans = spans
        self._schedule = schedule
        self._settings = mesh.settings
        self._stream: RenderStream | None = None
        # Set once the destination of audio is decided; cleared while a lost talking head is
        # replaced.
        self._decided = asyncio.Event()
        # Input that has not come back yet, so that another stream can render it.
        self._pending: deque[common.AudioChunk | common.Marks] = deque()
        self._changes = Changes()
        # The times at which audio up to a sample had arrived; no face could be rendered earlier.
        self._came: deque[tuple[float, float]] = deque()
        self._base = 0
        self._received = 0
        self._returned = 0
        self._hurry = False
        self._frames = 0
        self._frames_before = 0
        self._input_ended = False
        self._opened_at = 0.0
        self._span: StageSpan | None = None

    async def show(self) -> None:
        """Opens the talking head and passes its media on, until everything has been rendered."""
        if not self._state.question.face:
            self._decided.set()
            return
        self._span = self._spans.begin("avatar")
        try:
            for number in range(1, _TRIES + 1):
                try:
                    await self._render()
                    break
                except StageFailed as failure:
                    self._decided.clear()
                    self._stream = None
                    self._hurry = self._returned > 0 or failure.error.reason == SILENT
                    self._changes.tell()
                    hopeless = isinstance(failure.error, (Busy, DeadlineExceeded))
                    if number == _TRIES or hopeless:
                        await self._go_on_without(failure)
                        return
        finally:
            self._span.end()
        await self._player.end()

    async def marks(self, marks: common.Marks) -> None:
        """Takes the marks of audio that follows."""
        self._player.add_marks(marks)
        await self._decided.wait()
        if self._stream is not None:
            self._pending.append(marks)
            await self._stream.send(avatar.RenderRequest(marks=rebased_marks(marks, -self._base)))

    async def audio(self, chunk: common.AudioChunk) -> None:
        """Takes audio of the answer, in order; waits while the face is the lookahead behind."""
        self._player.add_segment(chunk.header.segment, chunk.start_sample)
        await self._until_room(chunk.start_sample)
        if self._stream is None:
            await self._player.audio(chunk)
            return
        self._pending.append(chunk)
        end_sample = self._received = chunk.start_sample + len(chunk.pcm) // 2
        self._came.append((end_sample, asyncio.get_running_loop().time()))
        await self._stream.send(avatar.RenderRequest(audio=rebased_audio(chunk, -self._base)))

    async def end(self) -> None:
        """Takes the end of the audio."""
        await self._decided.wait()
        self._input_ended = True
        self._came.append((float("inf"), asyncio.get_running_loop().time()))
        if self._stream is None:
            await self._player.end()
        else:
            await self._stream.send(avatar.RenderRequest(end_of_audio=avatar.EndOfAudio()))

    async def _until_room(self, sample: int) -> None:
        """Waits until the destination of audio is decided and has room for it."""
        held = self._settings.lookahead_ms * self._settings.sample_rate_hz // 1000
        await self._decided.wait()
        # This also holds without pacing: a client that does not read must hold back the voice.
        while self._stream is not None and sample - self._returned > held:
            await self._changes.next()
            await self._decided.wait()

    async def _render(self) -> None:
        stream = await self._open()
        self._base = self._returned
        self._frames_before = self._frames
        async with beside(self._replay(stream), name="avatar-replay"):
            await stream.consume(
                self._take,
                silence_timeout_ms=self._settings.stages["avatar"].silence_ms,
                owes=self._owes,
                may_end=lambda: stream.finished and self._is_rendered(),
            )

    def _owes(self) -> bool:
        left = self._received - self._returned
        return self._input_ended or left > _KEPT_S * self._settings.sample_rate_hz

    def _is_rendered(self) -> bool:
        return self._input_ended and self._returned >= self._received

    async def _open(self) -> RenderStream:
        question = self._state.question
        config = avatar.RenderConfig(
            turn_id=question.turn_id,
            epoch=question.epoch,
            avatar=question.avatar,
            sample_rate_hz=self._settings.sample_rate_hz,
            video=question.video,
            idle_frame=question.idle.first_frame(),
            activity=question.idle.activity,
            ai_mark=question.ai_mark,
        )
        self._opened_at = asyncio.get_running_loop().time()
        return await self._streams.open(
            "avatar",
            self._mesh.avatar.Render,
            avatar.RenderRequest(config=config),
            span=self._span,
            timeout_ms=_REOPEN_TIMEOUT_MS if self._hurry else None,
        )

    async def _replay(self, stream: RenderStream) -> None:
        for item in tuple(self._pending):
            kept = after(item, self._base)
            if isinstance(kept, common.AudioChunk):
                audio = rebased_audio(kept, -self._base)
                await stream.send(avatar.RenderRequest(audio=audio))
            elif kept is not None:
                marks = rebased_marks(kept, -self._base)
                await stream.send(avatar.RenderRequest(marks=marks))
        if self._input_ended:
            await stream.send(avatar.RenderRequest(end_of_audio=avatar.EndOfAudio()))
        self._stream = stream
        self._decided.set()

    async def _take(self, response: avatar.RenderResponse) -> None:
        event = response.WhichOneof("event")
        if event == "ended":
            self._state.idle_frame = response.ended.idle_frame
        if event != "media":
            return
        if self._streams.is_stale("avatar", response.media.header):
            return
        if self._span is not None:
            self._span.first_output()
        if not self._returned:
            now = asyncio.get_running_loop().time()
            self._state.question.idle.shown_after(now - self._opened_at)
        media = rebased_media(response.media, self._base, self._frames_before)
        self._watch_pace(media)
        self._frames += len(media.frames)
        self._returned = media.audio.start_sample + len(media.audio.pcm) // 2
        while self._pending and after(self._pending[0], self._returned) is None:
            self._pending.popleft()
        self._changes.tell()
        await self._player.media(media)

    def _watch_pace(self, media: common.MediaChunk) -> None:
        """Records how late the face is while it has enough audio to render."""
        state = self._state
        end_sample = media.audio.start_sample + len(media.audio.pcm) // 2
        known = end_sample + _KEPT_S * self._settings.sample_rate_hz
        while self._came and self._came[0][0] < known:
            self._came.popleft()
        if not self._came or media.audio.start_sample == 0:
            return
        held_s = asyncio.get_running_loop().time() - self._came[0][1]
        late_s = min(held_s, self._schedule.behind_s(media.audio.start_sample))
        state.face_late_s = max(state.face_late_s, late_s)
        # A player that waited longer for pictures would have no sound to play either.
        if late_s * 1000 > self._settings.face_late_ms:
            text = f"avatar is {late_s:.1f} s behind the voice"
            raise StageFailed("avatar", DeadlineExceeded(text))

    async def _go_on_without(self, failure: StageFailed) -> None:
        self._events.degrade("avatar", str(failure.error))
        self._events.lose_face()
        for item in self._pending:
            kept = after(item, self._returned)
            if isinstance(kept, common.AudioChunk):
                await self._player.audio(kept)
        self._pending.clear()
        if self._input_ended:
            await self._player.end()
        self._decided.set()
