"""One Render stream: a reader that sees interrupts early, a writer no faster than its reader."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import numpy as np
from numpy.typing import NDArray

from anima.avatar.v1 import Ended, RenderConfig, RenderRequest, RenderResponse
from anima.common.v1 import AudioChunk, ChunkHeader, Interrupted, MediaChunk, VideoFrame
from services.avatar.engine import VisemeSpan
from services.avatar.requests import MarksReceiver
from services.avatar.turn import RenderedChunk, Turn
from services.runtime.audio import AudioReceiver
from services.runtime.compute import Compute
from services.runtime.errors import InvalidRequest

MAX_WAITING_S = 10
"""Audio that may wait to be rendered; beyond it flow control holds the sender."""
MAX_WAITING_MESSAGES = 2000


class RenderSession:
    """The state of one stream; `responses` is used once."""

    def __init__(
        self,
        config: RenderConfig,
        turn: Turn,
        requests: AsyncIterator[RenderRequest],
        compute: Compute,
    ) -> None:
        self._config = config
        self._turn = turn
        self._requests = requests
        self._compute = compute
        self._audio = AudioReceiver(
            sample_rate_hz=config.sample_rate_hz, epoch=config.epoch, turn_id=config.turn_id
        )
        self._marks = MarksReceiver(turn_id=config.turn_id)
        self._inbox: deque[Callable[[Turn], None]] = deque()
        self._accepted_samples = 0
        self._max_waiting_samples = MAX_WAITING_S * config.sample_rate_hz
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._interrupted_to: int | None = None
        self._end_seen = False
        self._sequence = 0

    async def responses(self) -> AsyncGenerator[RenderResponse, None]:
        """Yields everything after `started`.

        Raises:
            InvalidRequest: A message of the stream is wrong.
        """
        reader = asyncio.create_task(self._read(), name="avatar reader")
        reader.add_done_callback(lambda _: self._changed.set())
        try:
            while True:
                if self._interrupted_to is not None:
                    yield self._interrupted(self._interrupted_to)
                    return
                if reader.done():
                    reader.result()
                chunk = await self._compute.run(self._step, self._take_inbox())
                if not self._is_full():
                    self._room.set()
                if self._is_interrupted():
                    continue
                if chunk is not None:
                    yield self._media(chunk)
                elif self._turn.ended:
                    yield self._ended()
                    return
                elif not self._inbox:
                    await self._changed.wait()
                    self._changed.clear()
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    def _is_interrupted(self) -> bool:
        return self._interrupted_to is not None

    def _take_inbox(self) -> list[Callable[[Turn], None]]:
        messages = list(self._inbox)
        self._inbox.clear()
        self._changed.clear()
        return messages

    def _step(self, messages: list[Callable[[Turn], None]]) -> RenderedChunk | None:
        """Runs in a thread: gives the messages to the turn and renders the next chunk, if any."""
        for apply in messages:
            apply(self._turn)
        count = self._turn.ready_frames()
        return self._turn.render(count) if count else None

    async def _read(self) -> None:
        async for request in self._requests:
            arm = request.WhichOneof("message")
            if arm == "interrupt":
                self._take_interrupt(request.interrupt.epoch)
                return
            if self._end_seen:
                raise InvalidRequest(f"{arm}: came after end_of_audio")
            self._take(arm or "", request)
            self._changed.set()
            while self._is_full():
                self._room.clear()
                await self._room.wait()
        if not self._end_seen:
            raise InvalidRequest("end_of_audio: the stream was closed without it")

    def _take(self, arm: str, request: RenderRequest) -> None:
        if arm == "audio":
            self._take_audio(request.audio)
        elif arm == "marks":
            spans = self._marks.accept(
                request.marks, epoch=self._audio.epoch, rendered_until=self._turn.sample_count
            )
            if spans:
                self._inbox.append(_add_visemes(spans))
        elif arm == "flush":
            self._inbox.append(Turn.flush)
        else:
            self._end_seen = True
            self._inbox.append(Turn.end)

    def _take_audio(self, chunk: AudioChunk) -> None:
        samples = self._audio.accept(chunk)
        if samples is not None and len(samples):
            self._accepted_samples += len(samples)
            self._inbox.append(_add_audio(samples, chunk.header.segment))

    def _take_interrupt(self, epoch: int) -> None:
        if epoch <= self._config.epoch:
            raise InvalidRequest(
                f"interrupt.epoch: {epoch} is not greater than the config's {self._config.epoch}"
            )
        self._interrupted_to = epoch

    def _is_full(self) -> bool:
        waiting = self._accepted_samples - self._turn.sample_count
        return waiting > self._max_waiting_samples or len(self._inbox) > MAX_WAITING_MESSAGES

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


def _add_audio(samples: NDArray[np.int16], segment: int) -> Callable[[Turn], None]:
    return lambda turn: turn.add_audio(samples, segment)


def _add_visemes(spans: list[VisemeSpan]) -> Callable[[Turn], None]:
    return lambda turn: turn.add_visemes(spans)
