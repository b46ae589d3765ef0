"""The voice of an answer: sends text segments to synthesis, and marks and audio to a sink.

A voice that fails is replaced once: another stream speaks the segments of which nothing was heard,
and its samples and segments are counted from the point where the first one stopped. A voice that
fails within a segment is replaced only to apologise that the answer cannot be finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.tts.v1 import tts_pb2 as tts
from gateway import notices
from gateway.stages.failure import StageFailed, reopen_ms
from gateway.stages.mesh import Mesh
from gateway.stages.stream import StageStream
from gateway.turn.events import TurnEvents
from gateway.turn.part import Part
from gateway.turn.playout.gate import Gate
from gateway.turn.playout.schedule import Schedule
from gateway.turn.speaking.rebase import rebased_audio, rebased_marks
from gateway.turn.speaking.sink import SpeechSink
from gateway.turn.speaking.voice_choice import synthesis_config
from gateway.turn.state import TurnState
from gateway.turn.streams import TurnStreams
from gateway.turn.timing.spans import SpanLog, StageSpan
from gateway.turn.writing.segmenter import Segment
from gateway.turn.writing.writer import Writer
from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import beside

# One segment is being spoken and the next one is ready at the stage, so that it never waits for a
# round trip.
_SEGMENTS_AHEAD = 2


# How much of a speculative answer is synthesised beyond the lead. More would compete for CPU with
# the recogniser that is about to confirm or reject it.
_READY_MS = 300


class Speaker(Part):
    """Speaks one answer.

    Args:
        state: The answer in progress.
        writer: The source of segments; it is stopped when the voice has failed.
        sink: The destination of marks and audio.
        mesh: The stages.
        streams: The streams of the turn.
        events: Reports failures and numbers messages.
        spans: When each stage worked.
        schedule: The playout clock, which limits how far the voice may run ahead.
        outbox: The outbox in which segments are announced.
    """

    def __init__(
        self,
        state: TurnState,
        *,
        writer: Writer,
        sink: SpeechSink,
        mesh: Mesh,
        streams: TurnStreams,
        events: TurnEvents,
        spans: SpanLog,
        schedule: Schedule,
        outbox: Gate,
    ) -> None:
        super().__init__(writer)
        self._state = state
        self._writer = writer
        self._sink = sink
        self._mesh = mesh
        self._streams = streams
        self._events = events
        self._all_spans = spans
        self._schedule = schedule
        self._outbox = outbox
        self._settings = mesh.settings
        self._next: Segment | None = None
        self._spoken = asyncio.Event()
        ready_ms = self._settings.lead_ms + _READY_MS
        self._enough_samples = ready_ms * self._settings.sample_rate_hz // 1000
        self._made_samples = 0
        self._base = 0
        self._segments_before = 0
        self._last_segment = 0
        self._unspoken: dict[int, Segment] = {}
        self._sounding = 0
        self._text_ended = False
        self._apologising = False
        self._spans: dict[int, StageSpan] = {}

    async def speak(self) -> None:
        """Speaks the segments as they arrive, and ends the speech even when the voice fails."""
        language = await self._writer.language
        request = tts.SynthesizeRequest(config=self._config(language))
        try:
            await self._speak(request)
        except StageFailed as failure:
            self._events.fail(failure)
            self.stop_upstream()
            await self._apologise(request, failure)
        finally:
            for span in self._spans.values():
                span.end()
        await self._sink.end()

    def _config(self, language: str) -> tts.SynthesizeConfig:
        question, manner = self._state.question, self._state.manner
        return synthesis_config(
            turn_id=question.turn_id,
            epoch=question.epoch,
            sample_rate_hz=self._settings.sample_rate_hz,
            language=language,
            voice=manner.voice,
            rate_percent=manner.rate_percent,
            persona=question.persona,
            known_voices=question.known_voices,
        )

    async def _speak(self, request: tts.SynthesizeRequest) -> None:
        try:
            await self._speak_with(self._mesh.tts.Synthesize, request)
        except StageFailed as failure:
            if self._sounding in self._unspoken or not self._mesh.may_help("tts", failure.error):
                raise
            await self._speak_on(request, failure)

    async def _speak_on(self, request: tts.SynthesizeRequest, failure: StageFailed) -> None:
        self._base = self._made_samples
        self._segments_before = min(self._unspoken, default=self._last_segment + 1) - 1
        await self._speak_with(
            self._mesh.tts_fallback.Synthesize, request, timeout_ms=reopen_ms(failure.error)
        )

    async def _apologise(self, request: tts.SynthesizeRequest, failure: StageFailed) -> None:
        """Speaks an apology if the answer broke off within a segment and it can be heard."""
        if self._sounding not in self._unspoken:
            return
        # Marks come before their audio: words after the last audio will not be heard.
        words = self._state.words
        words[:] = [word for word in words if _middle(word.samples) <= self._made_samples]
        text = notices.apology(request.config.language)
        number = self._last_segment + 1
        apology = Segment(number=number, text=text, start_char=len(self._state.text))
        self._unspoken = {number: apology}
        self._next, self._text_ended, self._apologising = None, True, True
        await self._announce(apology)
        try:
            await self._speak_on(request, failure)
        except StageFailed as silent:
            get_logger().warning("no voice is left to apologise", problem=str(silent.error))

    async def _speak_with(
        self,
        method: Callable[..., Any],
        config: tts.SynthesizeRequest,
        *,
        timeout_ms: int | None = None,
    ) -> None:
        # Opened before there is a segment: the first clause must not wait for a connection.
        stream = await self._streams.open("tts", method, config, timeout_ms=timeout_ms)
        async with beside(self._submit(stream), name="tts-submit"):
            await stream.consume(
                self._take,
                silence_timeout_ms=self._settings.stages["tts"].silence_ms,
                owes=lambda: bool(self._unspoken) or self._text_ended,
                may_end=lambda: self._text_ended and self._next is None and not self._unspoken,
            )

    async def _submit(
        self, stream: StageStream[tts.SynthesizeRequest, tts.SynthesizeResponse]
    ) -> None:
        for segment in tuple(self._unspoken.values()):
            await self._send(stream, segment)
        while (written := await self._peek()) is not None:
            if self._state.question.paced:
                while len(self._unspoken) >= _SEGMENTS_AHEAD:
                    self._spoken.clear()
                    await self._spoken.wait()
                await self._schedule.until_room(self._made_samples)
            await self._announce(written)
            # From here on, another stream speaks the segment if this one fails.
            self._next = None
            self._unspoken[written.number] = written
            self._last_segment = written.number
            self._spans[written.number] = self._all_spans.begin("tts", written.number)
            await self._send(stream, written)
        await stream.send(tts.SynthesizeRequest(end_of_text=tts.EndOfText()))

    async def _peek(self) -> Segment | None:
        """Returns the next segment, the same one until it is handed on; None after the last."""
        if self._next is None and not self._text_ended:
            self._next = await self._writer.segments.get()
            self._text_ended = self._next is None
        return self._next

    async def _send(
        self, stream: StageStream[tts.SynthesizeRequest, tts.SynthesizeResponse], segment: Segment
    ) -> None:
        text = tts.TextSegment(
            segment=segment.number - self._segments_before,
            text=segment.text,
            start_char=segment.start_char,
        )
        await stream.send(tts.SynthesizeRequest(text=text))

    async def _announce(self, segment: Segment) -> None:
        started = pb.SegmentStarted(
            header=self._events.numbered("segments", segment=segment.number),
            text=segment.text,
            chars=common.CharSpan(start_char=segment.start_char, end_char=segment.end_char),
        )
        await self._outbox.put(pb.ConverseResponse(segment_started=started))

    async def _take(self, response: tts.SynthesizeResponse) -> None:
        event = response.WhichOneof("event")
        if event in ("audio", "marks", "segment_end"):
            getattr(response, event).header.segment += self._segments_before
        if event == "audio" and not self._streams.is_stale("tts", response.audio.header):
            await self._take_audio(rebased_audio(response.audio, self._base))
        elif event == "marks" and not self._streams.is_stale("tts", response.marks.header):
            await self._take_marks(rebased_marks(response.marks, self._base))
        elif event == "segment_end" and not self._streams.is_stale(
            "tts", response.segment_end.header
        ):
            self._end_segment(response.segment_end)

    async def _take_marks(self, marks: common.Marks) -> None:
        # Marks come before the audio: a segment whose marks were sent cannot be spoken again.
        self._sounding = marks.header.segment
        if self._apologising:
            # These words are not part of the answer, so they do not count as heard.
            for word in marks.words:
                word.ClearField("chars")
        self._state.words.extend(marks.words)
        await self._sink.marks(marks)

    async def _take_audio(self, chunk: common.AudioChunk) -> None:
        segment = self._sounding = chunk.header.segment
        if span := self._spans.get(segment):
            span.first_output()
        self._made_samples = chunk.start_sample + len(chunk.pcm) // 2
        if chunk.start_sample >= self._enough_samples:
            await self._outbox.until_open()
        await self._schedule.until_room(chunk.start_sample)
        await self._sink.audio(chunk)

    def _end_segment(self, end: tts.SegmentEnd) -> None:
        self._unspoken.pop(end.header.segment, None)
        if span := self._spans.get(end.header.segment):
            span.end()
        if end.reason == common.END_REASON_ERROR:
            self._events.degrade("tts", end.error)
        self._spoken.set()


def _middle(span: common.SampleSpan) -> float:
    return span.start_sample + span.sample_count / 2
