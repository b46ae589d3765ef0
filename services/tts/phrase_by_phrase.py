"""The loop of engines that speak a segment phrase by phrase."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from services.tts.engine import Emit, Samples, SpeechChunk, SpeechRequest
from services.tts.text_spans import has_speech, phrases, speakable
from services.tts.timing import Sound, marks_of


@dataclass(frozen=True)
class Phrase:
    """A phrase of a segment.

    Attributes:
        text: Without control characters and pictures.
        is_first: Whether nothing of the segment has been spoken yet.
    """

    text: str
    is_first: bool


@dataclass(frozen=True)
class Spoken:
    """Audio of a phrase, and the sounds that became known with it.

    Attributes:
        samples: At the voice's rate.
        sounds: They cover this audio, or this audio and that of the pieces without sounds that
            follow. They count from the first sample of this audio.
    """

    samples: Samples
    sounds: Sequence[Sound]


def speak_phrases(
    request: SpeechRequest, emit: Emit, speak: Callable[[Phrase], Iterable[Spoken]]
) -> None:
    """Speaks a segment; returns when all of it is emitted or `emit` has returned False.

    Args:
        request: The segment.
        emit: Takes the chunks.
        speak: Speaks one phrase in pieces; nothing, if there is nothing in it to speak.
    """
    text = speakable(request.text)
    start_sample = 0
    for start, end in phrases(text):
        phrase = text[start:end]
        if not has_speech(phrase):
            continue
        for spoken in speak(Phrase(phrase, is_first=start_sample == 0)):
            words, phonemes = marks_of(
                phrase, spoken.sounds, start_char=start, start_sample=start_sample
            )
            start_sample += len(spoken.samples)
            if not emit(SpeechChunk(samples=spoken.samples, words=words, phonemes=phonemes)):
                return


def speak_clauses(
    request: SpeechRequest, emit: Emit, clause: Callable[[str, SpeechRequest], Spoken]
) -> None:
    """Like `speak_phrases`, with a function that speaks a whole phrase at once.

    Args:
        request: The segment.
        emit: Takes the chunks.
        clause: Speaks a phrase; no sounds, if there is nothing in it to speak.
    """

    def speak(phrase: Phrase) -> list[Spoken]:
        spoken = clause(phrase.text, request)
        return [spoken] if spoken.sounds else []

    speak_phrases(request, emit, speak)
