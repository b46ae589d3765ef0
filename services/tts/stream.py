"""One Synthesize stream: read, synthesised ahead, sent in order, stopped at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from anima.common.v1 import END_REASON_COMPLETE, END_REASON_ERROR, END_REASON_INTERRUPTED
from anima.tts.v1 import Flush, SynthesizeRequest, SynthesizeResponse
from services.runtime.errors import InvalidRequest
from services.runtime.observing.logs import get_logger
from services.runtime.process.compute import Compute
from services.runtime.process.tasks import Tasks, first_of
from services.tts.answers import Answers
from services.tts.requests import Segment, SpeechConfig, check_interrupt, check_segment
from services.tts.settings import TtsSettings
from services.tts.speech import Speech, StillWorking, producer
from services.tts.voices import VoiceBook

T = TypeVar("T")

SEGMENTS_AT_WORK = 2
"""The segment being sent and the next one; each occupies a thread of the stage."""
MAX_WAITING = 64
"""The maximum number of pending requests; beyond it the stream is not read."""


@dataclass(frozen=True)
class _Interrupted:
    """An interrupt has arrived."""

    epoch: int


class _Stopped(Exception):  # noqa: N818 (an interrupt is not an error)
    """The stream stops now, because of an interrupt or an invalid request."""

    def __init__(self, reason: _Interrupted | BaseException) -> None:
        super().__init__()
        self.reason = reason


class _End:
    """No more requests follow."""


class SynthesisStream:
    """Speaks the segments of one stream.

    One task reads and validates requests, a second one starts the synthesis of the next segment
    while the current one is sent. The answers are produced in the caller's task.
    """

    def __init__(
        self,
        config: SpeechConfig,
        *,
        book: VoiceBook,
        compute: Compute,
        settings: TtsSettings,
    ) -> None:
        self._config = config
        self._book = book
        self._compute = compute
        self._settings = settings
        self._answers = Answers(config)
        self._requests: asyncio.Queue[Segment | Flush | _End] = asyncio.Queue(MAX_WAITING)
        self._prepared: asyncio.Queue[Speech | Flush | _End] = asyncio.Queue(SEGMENTS_AT_WORK)
        self._speeches: set[Speech] = set()
        self._places = asyncio.Semaphore(SEGMENTS_AT_WORK)
        self._stop: asyncio.Future[_Interrupted | BaseException] = (
            asyncio.get_running_loop().create_future()
        )
        self._next_segment = 1
        self._ended = False

    async def run(
        self, requests: AsyncIterator[SynthesizeRequest]
    ) -> AsyncGenerator[SynthesizeResponse, None]:
        """Answers the requests after the config.

        Raises:
            InvalidRequest: A request is invalid.
            FailedPrecondition: No voice speaks a segment's language.
        """
        # A failure is raised to the caller by `_unless_stopped`.
        tasks = Tasks("tts stream", on_failure=self._halt, logged=False)
        tasks.start(self._read(requests), name="tts reader")
        tasks.start(self._prepare(), name="tts look-ahead")
        try:
            yield self._answers.started()
            try:
                async with aclosing(self._speak()) as answers:
                    async for answer in answers:
                        yield answer
            except _Stopped as stopped:
                if not isinstance(stopped.reason, _Interrupted):
                    raise stopped.reason from None
                yield self._answers.interrupted(stopped.reason.epoch)
        finally:
            await tasks.close()
            for speech in self._speeches:
                await speech.close()

    async def _read(self, requests: AsyncIterator[SynthesizeRequest]) -> None:
        async for request in requests:
            await self._take(request)
        await self._requests.put(_End())

    async def _take(self, request: SynthesizeRequest) -> None:
        arm = request.WhichOneof("message")
        if arm == "interrupt":
            self._halt(_Interrupted(check_interrupt(request.interrupt, self._config)))
            return
        if self._ended:
            raise InvalidRequest(f"{arm}: not allowed after end_of_text")
        if arm == "text":
            segment = check_segment(
                request.text, expected=self._next_segment, config=self._config, book=self._book
            )
            self._next_segment += 1
            await self._requests.put(segment)
        elif arm == "flush":
            await self._requests.put(request.flush)
        else:
            self._ended = True
            await self._requests.put(_End())

    def _halt(self, reason: _Interrupted | BaseException) -> None:
        if not self._stop.done():
            self._stop.set_result(reason)

    async def _prepare(self) -> None:
        while True:
            request = await self._requests.get()
            if not isinstance(request, Segment):
                await self._prepared.put(request)
                continue
            await self._places.acquire()
            produce = producer(
                request, book=self._book, config=self._config, settings=self._settings
            )
            speech = Speech(request, produce, self._compute)
            self._speeches.add(speech)
            await self._prepared.put(speech)

    async def _speak(self) -> AsyncGenerator[SynthesizeResponse, None]:
        while not isinstance(item := await self._unless_stopped(self._prepared.get), _End):
            if isinstance(item, Flush):
                yield self._answers.flushed(item.flush_id)
                continue
            async with aclosing(self._speak_segment(item)) as answers:
                async for answer in answers:
                    yield answer
            await item.close()
            self._speeches.discard(item)
            self._places.release()

    async def _speak_segment(self, speech: Speech) -> AsyncGenerator[SynthesizeResponse, None]:
        segment = speech.segment
        self._answers.begin()
        try:
            async with aclosing(speech.pieces()) as pieces:
                while (
                    piece := await self._unless_stopped(lambda: anext(pieces, None))
                ) is not None:
                    if isinstance(piece, StillWorking):
                        yield self._answers.working()
                        continue
                    for answer in self._answers.piece(segment, piece):
                        yield answer
        except _Stopped as stopped:
            if isinstance(stopped.reason, _Interrupted):
                yield self._answers.segment_end(segment, END_REASON_INTERRUPTED)
            raise
        except Exception as error:
            get_logger().error("segment failed", segment=segment.number, exc_info=error)
            yield self._answers.segment_end(
                segment, END_REASON_ERROR, error=f"{segment.voice.engine} failed; see its log"
            )
            return
        yield self._answers.segment_end(segment, END_REASON_COMPLETE)

    async def _unless_stopped(self, wait: Callable[[], Awaitable[T]]) -> T:
        """Returns what the call awaits; raises _Stopped as soon as there is a reason to stop."""

        async def result() -> T:
            return await wait()

        return await first_of(self._until_stopped(), result(), name="tts answer")

    async def _until_stopped(self) -> NoReturn:
        raise _Stopped(await asyncio.shield(self._stop))
