"""One Render stream: the reader sees interrupts early, the writer waits for its client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from anima.avatar.v1 import Ended, RenderConfig, RenderRequest, RenderResponse
from anima.common.v1 import AudioChunk, ChunkHeader, Interrupted, MediaChunk, VideoFrame
from services.avatar.requests import MarksReceiver
from services.avatar.turn import RenderedChunk, Turn
from services.runtime.audio import AudioReceiver
from services.runtime.errors import InvalidRequest
from services.runtime.process.tasks import Tasks

MAX_WAITING_S = 10
"""Audio that may be queued for rendering; above that, flow control slows down the sender."""


class RenderSession:
    """The state of one stream; `responses` may be called only once."""

    def __init__(
        self,
        config: RenderConfig,
        turn: Turn,
        requests: AsyncIterator[RenderRequest],
    ) -> None:
        self._config = config
        self._turn = turn
        self._requests = requests
        self._audio = AudioReceiver(
            sample_rate_hz=config.sample_rate_hz, epoch=config.epoch, turn_id=config.turn_id
        )
        self._marks = MarksReceiver(turn_id=config.turn_id)
        self._accepted_samples = 0
        self._max_waiting_samples = MAX_WAITING_S * config.sample_rate_hz
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._interrupted_to: int | None = None
        self._fault: Exception | None = None
        self._end_seen = False
        self._sequence = 0

    async def responses(self) -> AsyncGenerator[RenderResponse, None]:
        """Yields all responses after `started`.

        Raises:
            InvalidRequest: A message of the stream is invalid.
        """
        reader = Tasks("avatar stream")
        reader.start(self._read(), name="avatar reader")
        try:
            while True:
                if self._interrupted_to is not None:
                    yield self._interrupted(self._interrupted_to)
                    return
                if self._fault is not None:
                    raise self._fault
                if count := self._turn.ready_frames():
                    chunk = await self._turn.render(count)
                    if not self._is_full():
                        self._room.set()
                    if not self._is_interrupted():
                        yield self._media(chunk)
                elif self._turn.ended:
                    yield self._ended()
                    return
                else:
                    await self._changed.wait()
                    self._changed.clear()
        finally:
            await reader.close()
            self._turn.close()

    def _is_interrupted(self) -> bool:
        return self._interrupted_to is not None

    async def _read(self) -> None:
        try:
            await self._take_all()
        except Exception as error:
            self._fault = error
        finally:
            self._changed.set()

    async def _take_all(self) -> None:
        async for request in self._requests:
            arm = request.WhichOneof("message")
            if arm == "interrupt":
                self._take_interrupt(request.interrupt.epoch)
                return
            if self._end_seen:
                raise InvalidRequest(f"{arm}: not allowed after end_of_audio")
            self._take(arm or "", request)
            self._changed.set()
            while self._is_full():
                self._room.clear()
                await self._room.wait()
        if not self._end_seen:
            raise InvalidRequest("end_of_audio: the stream ended without it")

    def _take(self, arm: str, request: RenderRequest) -> None:
        if arm == "audio":
            self._take_audio(request.audio)
        elif arm == "marks":
            spans = self._marks.accept(
                request.marks, epoch=self._audio.epoch, rendered_until=self._turn.sample_count
            )
            if spans:
                self._turn.add_visemes(spans)
        elif arm == "flush":
            self._turn.flush()
        else:
            self._end_seen = True
            self._turn.end()

    def _take_audio(self, chunk: AudioChunk) -> None:
        samples = self._audio.accept(chunk)
        if samples is not None and len(samples):
            self._accepted_samples += len(samples)
            self._turn.add_audio(samples, chunk.header.segment)

    def _take_interrupt(self, epoch: int) -> None:
        if epoch <= self._config.epoch:
            raise InvalidRequest(
                f"interrupt.epoch: must be greater than the config's {self._config.epoch}, "
                f"got {epoch}"
            )
        self._interrupted_to = epoch

    def _is_full(self) -> bool:
        return self._accepted_samples - self._turn.sample_count > self._max_waiting_samples

    def _media(self, chunk: RenderedChunk) -> RenderResponse:
        self._sequence += 1
        header = ChunkHeader(
            turn_id=self._config.turn_id,
            epoch=self._config.epoch,
            segment=chunk.segment,
            sequence=self._sequence,
        )
        audio = AudioChunk(
            header=header,
            start_sample=chunk.start_sample,
            sample_rate_hz=self._config.sample_rate_hz,
            pcm=chunk.samples.astype("<i2").tobytes(),
        )
        frames = [
            VideoFrame(
                start_sample=sample,
                frame_number=chunk.first_frame + index + 1,
                key_frame=frame.key_frame,
                data=frame.data,
            )
            for index, (sample, frame) in enumerate(
                zip(chunk.frame_samples, chunk.frames, strict=True)
            )
        ]
        return RenderResponse(media=MediaChunk(header=header, audio=audio, frames=frames))

    def _ended(self) -> RenderResponse:
        return RenderResponse(
            ended=Ended(
                sample_count=self._turn.sample_count,
                frame_count=self._turn.frame_count,
                idle_frame=self._turn.idle_frame,
            )
        )

    def _interrupted(self, epoch: int) -> RenderResponse:
        return RenderResponse(
            interrupted=Interrupted(epoch=epoch, produced_samples=self._turn.sample_count)
        )
