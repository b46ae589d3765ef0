"""The face of an answer: audio to the talking head, media back; else the audio goes on alone."""

from __future__ import annotations

import asyncio

from anima.avatar.v1 import avatar_pb2 as avatar
from anima.common.v1 import common_pb2 as common
from gateway.answer import Answer
from gateway.mesh import Mesh
from gateway.playing import Player
from gateway.spans import StageSpan
from gateway.stages import StageFailed, StageStream

RenderStream = StageStream[avatar.RenderRequest, avatar.RenderResponse]


class Face:
    """Shows one answer, or hands its audio straight on."""

    def __init__(self, answer: Answer, mesh: Mesh, *, player: Player) -> None:
        self._answer = answer
        self._mesh = mesh
        self._player = player
        self._stream: RenderStream | None = None
        self._decided = asyncio.Event()
        self._route = asyncio.Lock()
        # Until the first picture comes back the audio is kept, so that it can go on without
        # pictures. The lookahead bounds it.
        self._unrendered: list[common.AudioChunk] = []
        self._shown = False
        self._input_ended = False
        self._opened_at = 0.0
        self._span: StageSpan | None = None

    async def run(self) -> None:
        """Opens the talking head and hands on what it makes, until everything has been rendered."""
        if not self._answer.question.face:
            self._decided.set()
            return
        try:
            self._span = self._answer.spans.begin("avatar")
            self._stream = await self._open(self._span)
            self._decided.set()
            async for response in self._stream.responses():
                await self._take(response)
        except StageFailed as failure:
            if not self._shown:
                await self._go_on_without(failure)
                return
            self._answer.fail(failure)
        finally:
            if self._span is not None:
                self._span.end()
        await self._player.media.put(None)

    async def marks(self, marks: common.Marks) -> None:
        """Takes the marks of audio that follows."""
        await self._decided.wait()
        if self._stream is not None:
            await self._stream.send(avatar.RenderRequest(marks=marks))

    async def audio(self, chunk: common.AudioChunk) -> None:
        """Takes audio of the answer, in order."""
        await self._decided.wait()
        async with self._route:
            if self._stream is None:
                await self._player.media.put(_alone(chunk))
                return
            if not self._shown:
                self._unrendered.append(chunk)
            await self._stream.send(avatar.RenderRequest(audio=chunk))

    async def end(self) -> None:
        """Says that no more audio follows."""
        await self._decided.wait()
        async with self._route:
            self._input_ended = True
            if self._stream is None:
                await self._player.media.put(None)
            else:
                end = avatar.RenderRequest(end_of_audio=avatar.EndOfAudio())
                await self._stream.send(end)

    async def _open(self, span: StageSpan) -> RenderStream:
        question = self._answer.question
        config = avatar.RenderConfig(
            turn_id=question.turn_id,
            epoch=question.epoch,
            avatar=question.avatar,
            sample_rate_hz=self._answer.settings.sample_rate_hz,
            video=question.video,
            idle_frame=question.idle.first_frame(),
            activity=question.idle.activity,
            ai_mark=question.ai_mark,
        )
        self._opened_at = asyncio.get_running_loop().time()
        return await self._answer.open_stream(
            "avatar", self._mesh.avatar.Render, avatar.RenderRequest(config=config), span=span
        )

    async def _take(self, response: avatar.RenderResponse) -> None:
        event = response.WhichOneof("event")
        if event == "ended":
            self._answer.idle_frame = response.ended.idle_frame
        if event != "media":
            return
        if self._answer.is_stale("avatar", response.media.header):
            return
        if self._span is not None:
            self._span.first_output()
        if not self._shown:
            now = asyncio.get_running_loop().time()
            self._answer.question.idle.shown_after(now - self._opened_at)
        self._shown = True
        self._unrendered.clear()
        await self._player.media.put(response.media)

    async def _go_on_without(self, failure: StageFailed) -> None:
        self._answer.degrade("avatar", str(failure.error))
        async with self._route:
            self._stream = None
            self._decided.set()
            for chunk in self._unrendered:
                await self._player.media.put(_alone(chunk))
            self._unrendered.clear()
            if self._input_ended:
                await self._player.media.put(None)


def _alone(chunk: common.AudioChunk) -> common.MediaChunk:
    return common.MediaChunk(audio=chunk)
