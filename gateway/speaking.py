"""The voice of an answer: segments to synthesis, its audio and marks on to face and client."""

from __future__ import annotations

import asyncio

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from anima.tts.v1 import tts_pb2 as tts
from gateway.answer import Answer
from gateway.mesh import Mesh
from gateway.playing import Player
from gateway.segmenter import Segment
from gateway.showing import Face
from gateway.spans import StageSpan
from gateway.stages import StageFailed, StageStream
from gateway.voices import synthesis_config
from gateway.writing import Writer

# One segment is being spoken and the next one lies ready at the stage, so that it never waits for a
# round trip.
_SEGMENTS_AHEAD = 2


class Speaker:
    """Speaks one answer."""

    def __init__(
        self, answer: Answer, mesh: Mesh, *, writer: Writer, face: Face, player: Player
    ) -> None:
        self._answer = answer
        self._mesh = mesh
        self._writer = writer
        self._face = face
        self._player = player
        self._ahead = asyncio.Semaphore(_SEGMENTS_AHEAD)
        self._made_samples = 0
        self._spans: dict[int, StageSpan] = {}

    async def run(self) -> None:
        """Speaks the segments as they come, and ends the face's audio also when the voice fails."""
        language = await self._writer.language
        try:
            if self._answer.failure is None:
                await self._speak(language)
        except StageFailed as failure:
            self._answer.fail(failure)
        finally:
            for span in self._spans.values():
                span.end()
        await self._face.end()

    async def _speak(self, language: str) -> None:
        question = self._answer.question
        config = synthesis_config(
            turn_id=question.turn_id,
            epoch=question.epoch,
            sample_rate_hz=self._answer.settings.sample_rate_hz,
            language=language,
            voice=question.voice,
            persona=question.persona,
            known_voices=question.known_voices,
        )
        # Opened before there is a segment: the first clause must not wait for a connection.
        stream = await self._answer.open_stream(
            "tts", self._mesh.tts.Synthesize, tts.SynthesizeRequest(config=config)
        )
        submitting = asyncio.create_task(self._submit(stream), name="tts-submit")
        try:
            async for response in stream.responses():
                await self._take(response)
        finally:
            submitting.cancel()
            await asyncio.wait([submitting])
        if not submitting.cancelled():
            submitting.result()

    async def _submit(
        self, stream: StageStream[tts.SynthesizeRequest, tts.SynthesizeResponse]
    ) -> None:
        while (segment := await self._writer.segments.get()) is not None:
            if self._answer.question.paced:
                await self._ahead.acquire()
                await self._answer.schedule.until_room(self._made_samples)
            self._spans[segment.number] = self._answer.spans.begin("tts", segment.number)
            await self._announce(segment)
            text = tts.TextSegment(
                segment=segment.number, text=segment.text, start_char=segment.start_char
            )
            await stream.send(tts.SynthesizeRequest(text=text))
        await stream.send(tts.SynthesizeRequest(end_of_text=tts.EndOfText()))

    async def _announce(self, segment: Segment) -> None:
        started = pb.SegmentStarted(
            header=self._answer.header("segments", segment=segment.number),
            text=segment.text,
            chars=common.CharSpan(start_char=segment.start_char, end_char=segment.end_char),
        )
        await self._answer.outbox.put(pb.ConverseResponse(segment_started=started))

    async def _take(self, response: tts.SynthesizeResponse) -> None:
        event = response.WhichOneof("event")
        if event == "audio" and not self._answer.is_stale("tts", response.audio.header):
            await self._take_audio(response.audio)
        elif event == "marks" and not self._answer.is_stale("tts", response.marks.header):
            self._answer.words.extend(response.marks.words)
            self._player.add_marks(response.marks)
            await self._face.marks(response.marks)
        elif event == "segment_end" and not self._answer.is_stale(
            "tts", response.segment_end.header
        ):
            self._end_segment(response.segment_end)

    async def _take_audio(self, chunk: common.AudioChunk) -> None:
        segment = chunk.header.segment
        if span := self._spans.get(segment):
            span.first_output()
        self._made_samples = chunk.start_sample + len(chunk.pcm) // 2
        self._player.add_segment(segment, chunk.start_sample)
        await self._answer.schedule.until_room(chunk.start_sample)
        await self._face.audio(chunk)

    def _end_segment(self, end: tts.SegmentEnd) -> None:
        if span := self._spans.get(end.header.segment):
            span.end()
        if end.reason == common.END_REASON_ERROR:
            self._answer.degrade("tts", end.error)
        self._ahead.release()
