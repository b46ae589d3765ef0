"""The answers of one stream on the turn's clocks."""

from __future__ import annotations

from collections.abc import Iterator

from anima.common.v1 import (
    AudioChunk,
    CharSpan,
    ChunkHeader,
    EndReason,
    Interrupted,
    Marks,
    SampleSpan,
    VisemeMark,
    WordMark,
)
from anima.tts.v1 import Flushed, SegmentEnd, Started, SynthesizeResponse, Working
from services.tts.requests import Segment, SpeechConfig
from services.tts.shaping import Piece, VisemeSpan, WordSpan


class Answers:
    """Builds the messages of a stream and keeps its clock.

    Attributes:
        produced_samples: The turn's clock: the number of samples sent so far.
    """

    def __init__(self, config: SpeechConfig) -> None:
        self._config = config
        self._sequence = 0
        self._segment_start = 0
        self.produced_samples = 0

    def started(self) -> SynthesizeResponse:
        """Returns the message that the stream is open."""
        return SynthesizeResponse(
            started=Started(
                voice=self._config.voice.name, sample_rate_hz=self._config.sample_rate_hz
            )
        )

    def working(self) -> SynthesizeResponse:
        """Returns the message that the engine needs longer."""
        return SynthesizeResponse(working=Working())

    def begin(self) -> None:
        """Starts a segment at the current time of the clock."""
        self._segment_start = self.produced_samples

    def piece(self, segment: Segment, piece: Piece) -> Iterator[SynthesizeResponse]:
        """Yields the marks, if there are any, and the audio of a piece."""
        if piece.words or piece.visemes:
            yield SynthesizeResponse(
                marks=Marks(
                    header=self._header(segment),
                    words=[self._word(segment, word) for word in piece.words],
                    visemes=[self._viseme(segment, viseme) for viseme in piece.visemes],
                )
            )
        audio = AudioChunk(
            header=self._header(segment),
            start_sample=self.produced_samples,
            sample_rate_hz=self._config.sample_rate_hz,
            pcm=piece.samples.astype("<i2").tobytes(),
        )
        self.produced_samples += len(piece.samples)
        yield SynthesizeResponse(audio=audio)

    def segment_end(
        self, segment: Segment, reason: EndReason.ValueType, *, error: str = ""
    ) -> SynthesizeResponse:
        """Returns the message that the current segment is complete."""
        return SynthesizeResponse(
            segment_end=SegmentEnd(
                header=self._header(segment),
                samples=SampleSpan(
                    start_sample=self._segment_start,
                    sample_count=self.produced_samples - self._segment_start,
                ),
                reason=reason,
                error=error,
            )
        )

    def flushed(self, flush_id: int) -> SynthesizeResponse:
        """Returns the message that everything before a flush is complete."""
        return SynthesizeResponse(flushed=Flushed(flush_id=flush_id))

    def interrupted(self, epoch: int) -> SynthesizeResponse:
        """Returns the confirmation of an interrupt; nothing more follows."""
        return SynthesizeResponse(
            interrupted=Interrupted(epoch=epoch, produced_samples=self.produced_samples)
        )

    def _header(self, segment: Segment) -> ChunkHeader:
        self._sequence += 1
        return ChunkHeader(
            turn_id=self._config.turn_id,
            epoch=self._config.epoch,
            segment=segment.number,
            sequence=self._sequence,
        )

    def _word(self, segment: Segment, word: WordSpan) -> WordMark:
        return WordMark(
            text=segment.text[word.start_char : word.end_char],
            chars=_chars(segment, word.start_char, word.end_char),
            samples=self._samples(word),
        )

    def _viseme(self, segment: Segment, viseme: VisemeSpan) -> VisemeMark:
        return VisemeMark(
            viseme=viseme.viseme,
            chars=_chars(segment, *viseme.chars) if viseme.chars else None,
            samples=self._samples(viseme),
            stress=viseme.stress,
        )

    def _samples(self, mark: WordSpan | VisemeSpan) -> SampleSpan:
        return SampleSpan(
            start_sample=self._segment_start + mark.start_sample, sample_count=mark.sample_count
        )


def _chars(segment: Segment, start: int, end: int) -> CharSpan:
    return CharSpan(start_char=segment.start_char + start, end_char=segment.start_char + end)
