"""Converts timed sounds to the marks of a segment, for engines that report phonemes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.tts.engine import PhonemeTiming, WordTiming
from services.tts.text_spans import CaptionWords, Span


@dataclass(frozen=True)
class Sound:
    """A phoneme as an engine reports it.

    Attributes:
        ipa: In IPA; empty for silence.
        stress: 0 none, 1 secondary, 2 primary.
        char: A character of the phrase, as precise as the engine reports it.
        start_sample: From the start of the phrase.
        end_sample: The start of the next sound.
    """

    ipa: str
    stress: int
    char: int
    start_sample: int
    end_sample: int


def moved(sound: Sound, samples: int) -> Sound:
    """Returns a sound that is spoken so many samples later."""
    start, end = sound.start_sample + samples, sound.end_sample + samples
    return Sound(sound.ipa, sound.stress, sound.char, start, end)


def marks_of(
    phrase: str, sounds: Sequence[Sound], *, start_char: int, start_sample: int
) -> tuple[tuple[WordTiming, ...], tuple[PhonemeTiming, ...]]:
    """Assigns each sound and each spoken word its characters in the segment and its samples.

    Args:
        phrase: The spoken text; at least one caption word.
        sounds: Without gaps, in spoken order.
        start_char: The position of the phrase in the segment's text.
        start_sample: Its position in the segment's audio.
    """
    if not sounds:
        return (), ()
    captions = CaptionWords(phrase)
    spans = _spans(captions, sounds)
    words: list[WordTiming] = []
    phonemes: list[PhonemeTiming] = []
    for sound, span in zip(sounds, spans, strict=True):
        start, end = start_sample + sound.start_sample, start_sample + sound.end_sample
        if span is None:
            phonemes.append(
                PhonemeTiming(ipa="", stress=0, chars=None, start_sample=start, end_sample=end)
            )
            continue
        chars = (start_char + span[0], start_char + span[1])
        phonemes.append(
            PhonemeTiming(
                ipa=sound.ipa, stress=sound.stress, chars=chars, start_sample=start, end_sample=end
            )
        )
        if words and words[-1].start_char == chars[0]:
            start = words.pop().start_sample
        words.append(
            WordTiming(start_char=chars[0], end_char=chars[1], start_sample=start, end_sample=end)
        )
    return tuple(words), tuple(phonemes)


def _spans(captions: CaptionWords, sounds: Sequence[Sound]) -> list[Span | None]:
    """Returns the characters of each sound; words never go back, even if reported positions do."""
    indices: list[int | None] = []
    newest = 0
    for sound in sounds:
        if not sound.ipa:
            indices.append(None)
            continue
        newest = max(newest, captions.index_at(sound.char))
        indices.append(newest)
    spoken = sorted({index for index in indices if index is not None})
    following = dict(zip(spoken, [*spoken[1:], len(captions)], strict=False))
    return [None if index is None else captions.span(index, following[index]) for index in indices]
