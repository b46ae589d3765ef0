"""The speech of one segment, synthesised in a thread ahead of sending."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable

from services.runtime.observing.tracing import tracer
from services.runtime.process.compute import Compute
from services.runtime.process.tasks import Tasks
from services.tts.engine import SpeechRequest, TtsEngine
from services.tts.reading.parts import Part, parts_of
from services.tts.reading.spoken import ShownMarks
from services.tts.requests import Segment, SpeechConfig
from services.tts.settings import TtsSettings
from services.tts.shaping import Piece, SegmentShaper, Shape
from services.tts.text_spans import ending
from services.tts.voices import VoiceBook

_MAX_PIECES_AHEAD = 3
_STILL_WORKING_EVERY_S = 1.0


class StillWorking:
    """The engine has produced nothing for a second."""


class Speech:
    """A segment whose synthesis starts as soon as this object is created.

    At most three messages wait for the reader; after that the engine waits. Must be closed.
    """

    def __init__(
        self, segment: Segment, produce: Callable[[Callable[[Piece], bool]], None], compute: Compute
    ) -> None:
        self.segment = segment
        self._pieces: AsyncGenerator[Piece, None] = compute.stream(
            produce, max_buffered=_MAX_PIECES_AHEAD
        )
        # An asynchronous generator starts only when it is first read.
        self._tasks = Tasks("speech", logged=False)  # `pieces` raises the engine's error
        self._first = self._tasks.start(
            _next(self._pieces), name=f"speech of segment {segment.number}"
        )

    async def pieces(self) -> AsyncGenerator[Piece | StillWorking, None]:
        """Yields the messages in order; raises any error of the engine.

        An engine that speaks clause by clause may need seconds for one on a busy machine.
        """
        coming = self._first
        while True:
            await asyncio.wait({coming}, timeout=_STILL_WORKING_EVERY_S)
            if not coming.done():
                yield StillWorking()
                continue
            piece = coming.result()
            if piece is None:
                return
            yield piece
            coming = self._tasks.start(_next(self._pieces), name=coming.get_name())

    async def close(self) -> None:
        """Stops the engine if it is still running."""
        await self._tasks.close()
        await self._pieces.aclose()


async def _next(pieces: AsyncGenerator[Piece, None]) -> Piece | None:
    return await anext(pieces, None)


def producer(
    segment: Segment, *, book: VoiceBook, config: SpeechConfig, settings: TtsSettings
) -> Callable[[Callable[[Piece], bool]], None]:
    """Returns the function that produces a segment's messages in a thread."""

    def produce(emit: Callable[[Piece], bool]) -> None:
        parts = parts_of(segment.text, voices=(segment.voice, config.voice), book=book)
        with tracer().start_as_current_span("tts.speak_segment") as span:
            span.set_attribute("anima.segment", segment.number)
            span.set_attribute("anima.voice", segment.voice.name)
            span.set_attribute("anima.characters", len(segment.text))
            sent_samples = 0
            for number, part in enumerate(parts, 1):
                shape = _shape(
                    part,
                    config,
                    settings,
                    is_first=number == 1,
                    ended_by=segment.text if number == len(parts) else part.text,
                )
                made = _produce_part(
                    part,
                    emit,
                    engine=book.engine(part.voice),
                    config=config,
                    shape=shape,
                    start_sample=sent_samples,
                )
                if made is None:
                    return
                sent_samples += made

    return produce


def _produce_part(
    part: Part,
    emit: Callable[[Piece], bool],
    *,
    engine: TtsEngine,
    config: SpeechConfig,
    shape: Shape,
    start_sample: int,
) -> int | None:
    """Produces what one voice speaks; returns its samples, or None: the reader is gone."""
    shaper = SegmentShaper(shape)
    marks = ShownMarks(part.spoken, shown=part.text, start_char=part.start_char)
    made_samples = 0
    listening = True

    def emit_pieces(pieces: Iterable[Piece]) -> bool:
        nonlocal listening, made_samples
        for piece in pieces:
            made_samples += len(piece.samples)
            listening = listening and emit(piece.later(start_sample))
        return listening

    request = SpeechRequest(
        text=part.spoken.text,
        voice=part.voice,
        rate_percent=config.rate_percent,
        pitch_percent=config.pitch_percent,
    )
    engine.synthesize(request, lambda chunk: emit_pieces(shaper.feed(marks.convert(chunk))))
    return made_samples if listening and emit_pieces(shaper.finish()) else None


def _shape(
    part: Part, config: SpeechConfig, settings: TtsSettings, *, is_first: bool, ended_by: str
) -> Shape:
    return Shape(
        from_hz=part.voice.sample_rate_hz,
        to_hz=config.sample_rate_hz,
        lead_ms=settings.lead_silence_ms if is_first else 0,
        pause_ms=_pause_ms(ended_by, settings) * 100 // config.rate_percent,
        volume_percent=config.volume_percent,
    )


def _pause_ms(text: str, settings: TtsSettings) -> int:
    match ending(text):
        case "sentence":
            return settings.sentence_pause_ms
        case "clause":
            return settings.clause_pause_ms
        case _:
            return settings.joint_pause_ms
