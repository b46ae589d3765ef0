"""A spoken text and where each of its characters comes from in the text that is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.tts.engine import PhonemeTiming, SpeechChunk, WordTiming
from services.tts.text_spans import Span


@dataclass(frozen=True)
class Spoken:
    """A text as it is spoken.

    Attributes:
        text: The words to speak.
        spans: For each of its characters, the characters of the shown text that it stands for. A
            character that is spoken as it is stands for itself; all characters of "two thousand"
            stand for "2,000".
    """

    text: str
    spans: tuple[Span, ...]

    @classmethod
    def of(cls, text: str) -> Spoken:
        """Returns a text that is spoken as it is written."""
        return cls(text, tuple((at, at + 1) for at in range(len(text))))

    def span(self, start: int, end: int) -> Span:
        """Returns the shown characters of a stretch of the spoken ones, at least one."""
        spans = self.spans[start : max(end, start + 1)]
        return min(first for first, _ in spans), max(last for _, last in spans)

    def _span_of_change(self, start: int, end: int) -> Span:
        if end > start:
            return self.span(start, end)
        # words that were inserted belong to what follows them
        return self.spans[start] if start < len(self.spans) else self.spans[start - 1]

    def replaced(self, changes: Iterable[tuple[int, int, str]]) -> Spoken:
        """Returns a text in which stretches are spoken in other words.

        Args:
            changes: Start, end and new words of each stretch, in order, without overlaps.
        """
        text: list[str] = []
        spans: list[Span] = []
        done = 0
        for start, end, words in changes:
            text += [self.text[done:start], words]
            spans += self.spans[done:start]
            if words:
                spans += [self._span_of_change(start, end)] * len(words)
            done = end
        text.append(self.text[done:])
        spans += self.spans[done:]
        return Spoken("".join(text), tuple(spans))


class ShownMarks:
    """Converts the marks of a spoken text to those of the shown one.

    Args:
        spoken: The text that an engine speaks.
        shown: The text that is shown.
        start_char: Where the shown text starts in its segment.
    """

    def __init__(self, spoken: Spoken, *, shown: str, start_char: int) -> None:
        self._spoken = spoken
        self._text = shown
        self._start_char = start_char
        self._shown_until = 0

    def convert(self, chunk: SpeechChunk) -> SpeechChunk:
        """Returns a chunk with the positions of its marks in the segment.

        Several words that stand for one, such as a number, become one.
        """
        return SpeechChunk(
            samples=chunk.samples,
            words=tuple(self._words(chunk.words)),
            phonemes=tuple(self._phoneme(phoneme) for phoneme in chunk.phonemes),
        )

    def _words(self, words: Sequence[WordTiming]) -> Iterable[WordTiming]:
        shown: list[WordTiming] = []
        for word in words:
            start, end = self._shown(word.start_char, word.end_char)
            if shown and start < shown[-1].end_char:
                before = shown.pop()
                start, end = before.start_char, max(end, before.end_char)
                start_sample = before.start_sample
            elif end <= self._shown_until:
                continue  # the rest of a word of which the chunk before had the beginning
            else:
                start_sample = word.start_sample
            shown.append(
                WordTiming(
                    start_char=max(start, self._shown_until),
                    end_char=end,
                    start_sample=start_sample,
                    end_sample=word.end_sample,
                )
            )
        if shown:
            self._shown_until = shown[-1].end_char
        return shown

    def _phoneme(self, phoneme: PhonemeTiming) -> PhonemeTiming:
        return PhonemeTiming(
            ipa=phoneme.ipa,
            stress=phoneme.stress,
            chars=self._shown(*phoneme.chars) if phoneme.chars else None,
            start_sample=phoneme.start_sample,
            end_sample=phoneme.end_sample,
        )

    def _shown(self, start: int, end: int) -> Span:
        first, last = self._spoken.span(start, end)
        while first < last - 1 and self._text[first].isspace():
            first += 1
        while first < last - 1 and self._text[last - 1].isspace():
            last -= 1
        return self._start_char + first, self._start_char + last
