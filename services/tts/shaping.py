"""Converts an engine's output to messages: trimmed, at the stream's rate, marks with audio."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from anima.common.v1 import VISEME_SIL, Viseme
from services.runtime.audio import StreamResampler, chunk_sizes
from services.tts.engine import PhonemeTiming, Samples, SpeechChunk
from services.tts.loudness import with_volume
from services.tts.visemes import visemes_of

_FADE_MS = 5


@dataclass(frozen=True)
class WordSpan:
    """A word: characters of the segment's text, samples from its start at the stream's rate."""

    start_char: int
    end_char: int
    start_sample: int
    sample_count: int


@dataclass(frozen=True)
class VisemeSpan:
    """A mouth position, in the same units as WordSpan. No characters for silence."""

    viseme: Viseme.ValueType
    stress: int
    chars: tuple[int, int] | None
    start_sample: int
    sample_count: int


Mark = TypeVar("Mark", WordSpan, VisemeSpan)


@dataclass(frozen=True)
class Piece:
    """The audio of one message and the marks that start in it."""

    samples: Samples
    words: tuple[WordSpan, ...]
    visemes: tuple[VisemeSpan, ...]

    def later(self, samples: int) -> Piece:
        """Returns the piece with its marks later by a number of samples."""
        if not samples:
            return self
        return Piece(
            self.samples,
            tuple(replace(word, start_sample=word.start_sample + samples) for word in self.words),
            tuple(replace(each, start_sample=each.start_sample + samples) for each in self.visemes),
        )


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The output format of a segment.

    Attributes:
        from_hz: The voice's rate.
        to_hz: The stream's rate.
        lead_ms: The maximum silence before the first sound.
        pause_ms: The silence after the last sound.
        volume_percent: See `with_volume`.
    """

    from_hz: int
    to_hz: int
    lead_ms: int
    pause_ms: int
    volume_percent: int


class SegmentShaper:
    """Shapes one segment while its engine produces it.

    Silence is detected from the phonemes, not from the level. Audio after the last sound is held
    back until another sound follows or the segment ends: only then is it known whether it is a
    pause inside the segment or the end to be trimmed.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._resampler = StreamResampler(shape.from_hz, shape.to_hz)
        self._sizes = chunk_sizes(shape.to_hz)
        self._size = next(self._sizes)
        self._origin: int | None = None
        """The engine's sample at which the segment starts; None until the first sound is known."""
        self._sounding_end = 0
        self._received = 0
        self._held: deque[Samples] = deque()
        self._held_start = 0
        self._ready = np.zeros(0, np.int16)
        self._sent = 0
        self._words: deque[WordSpan] = deque()
        self._visemes: deque[VisemeSpan] = deque()

    def feed(self, chunk: SpeechChunk) -> Iterator[Piece]:
        """Takes the engine's next output; yields the messages that are complete."""
        for phoneme in chunk.phonemes:
            if phoneme.ipa:
                self._add_sound(phoneme)
        for word in chunk.words:
            start, end = self._out(word.start_sample), self._out(word.end_sample)
            self._words.append(WordSpan(word.start_char, word.end_char, start, end - start))
        if len(chunk.samples):
            self._held.append(chunk.samples)
            self._received += len(chunk.samples)
        if self._origin is not None:
            self._resample(self._take_held(self._sounding_end))
        yield from self._pieces(last=False)

    def finish(self) -> Iterator[Piece]:
        """Trims or pads the pause after the last sound; yields the last messages."""
        if self._origin is None:
            return
        end = self._sounding_end + self._shape.pause_ms * self._shape.from_hz // 1000
        tail = self._take_held(end)
        missing = end - self._held_start
        if missing > 0:
            tail = np.concatenate([tail, np.zeros(missing, np.int16)])
        elif self._received > end:
            tail = _faded(tail, self._shape.from_hz * _FADE_MS // 1000)
        self._add_viseme(VISEME_SIL, 0, None, self._sounding_end, end)
        self._resample(tail)
        self._append(self._resampler.finish())
        length = max(self._out(end) - self._sent, 0)
        self._ready = np.pad(self._ready[:length], (0, max(length - len(self._ready), 0)))
        yield from self._pieces(last=True)

    def _add_sound(self, phoneme: PhonemeTiming) -> None:
        if self._origin is None:
            lead = self._shape.lead_ms * self._shape.from_hz // 1000
            self._origin = max(phoneme.start_sample - lead, 0)
            self._sounding_end = self._origin
        self._add_viseme(VISEME_SIL, 0, None, self._sounding_end, phoneme.start_sample)
        start, end = phoneme.start_sample, phoneme.end_sample
        shares = visemes_of(phoneme.ipa) or visemes_of("ə")
        whole = sum(weight for _, weight in shares)
        past = 0
        for viseme, weight in shares:
            cut = start + (end - start) * (past + weight) // whole
            self._add_viseme(
                viseme, phoneme.stress, phoneme.chars, start + (end - start) * past // whole, cut
            )
            past += weight
        self._sounding_end = end

    def _add_viseme(
        self,
        viseme: Viseme.ValueType,
        stress: int,
        chars: tuple[int, int] | None,
        start: int,
        end: int,
    ) -> None:
        first, last = self._out(start), self._out(end)
        if last > first:
            self._visemes.append(VisemeSpan(viseme, stress, chars, first, last - first))

    def _out(self, sample: int) -> int:
        """Converts an engine's sample to a sample of the segment at the stream's rate, rounded."""
        since = max(sample - (self._origin or 0), 0)
        return (2 * since * self._shape.to_hz + self._shape.from_hz) // (2 * self._shape.from_hz)

    def _take_held(self, end: int) -> Samples:
        """Takes the held audio up to the engine's sample `end`, without audio before the origin."""
        taken: list[Samples] = []
        while self._held and self._held_start < end:
            samples = self._held.popleft()
            count = min(len(samples), end - self._held_start)
            if count < len(samples):
                self._held.appendleft(samples[count:])
            skipped = min(max((self._origin or 0) - self._held_start, 0), count)
            taken.append(samples[skipped:count])
            self._held_start += count
        return np.concatenate(taken) if taken else np.zeros(0, np.int16)

    def _resample(self, samples: Samples) -> None:
        if len(samples):
            self._append(self._resampler.process(samples))

    def _append(self, samples: Samples) -> None:
        # Volume comes last: a resampler overshoots and could clip audio that was limited before.
        loud = with_volume(samples, self._shape.volume_percent)
        self._ready = np.concatenate([self._ready, loud])

    def _pieces(self, *, last: bool) -> Iterator[Piece]:
        while len(self._ready) >= self._size or (last and len(self._ready)):
            samples, self._ready = self._ready[: self._size], self._ready[self._size :]
            self._size = next(self._sizes)
            self._sent += len(samples)
            words = tuple(self._due(self._words))
            yield Piece(samples, words, tuple(self._due(self._visemes)))

    def _due(self, marks: deque[Mark]) -> Iterator[Mark]:
        while marks and marks[0].start_sample < self._sent:
            yield marks.popleft()


def _faded(samples: Samples, count: int) -> Samples:
    """Fades the last `count` samples to zero, so that the cut does not click."""
    count = min(count, len(samples))
    if not count:
        return samples
    ramp = np.linspace(1, 0, count)
    faded = samples.copy()
    faded[-count:] = (faded[-count:] * ramp).astype(np.int16)
    return faded
