"""The parts of a segment: what is spoken by which voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from services.tts.engine import TtsEngine, VoiceInfo
from services.tts.reading.romanised import romanised
from services.tts.reading.runs import Run, runs_of
from services.tts.reading.spoken import Spoken
from services.tts.reading.words import words_of
from services.tts.text_spans import has_speech, speakable
from services.tts.voices import VoiceBook
from text.languages import primary
from text.scripts import LATIN, SCRIPTS, Script

_OF_OTHER_SCRIPTS = frozenset(tag for script in SCRIPTS for tag in script.languages)


@runtime_checkable
class ScriptReader(Protocol):
    """An engine all of whose voices read scripts besides that of their language."""

    @property
    def reads(self) -> frozenset[str]:
        """The names of the scripts, as in `text.scripts`."""
        ...


@dataclass(frozen=True)
class Part:
    """A stretch of a segment that one voice speaks.

    Attributes:
        voice: The voice.
        spoken: What it speaks.
        start_char: Where the stretch starts in the segment.
        text: The stretch as it is written.
    """

    voice: VoiceInfo
    spoken: Spoken
    start_char: int
    text: str


def parts_of(text: str, *, voices: Sequence[VoiceInfo], book: VoiceBook) -> list[Part]:
    """Splits the text of a segment between the voices that can read it.

    Args:
        text: The text.
        voices: The voice of the segment, then other voices of the conversation.
        book: All voices.

    Returns:
        The parts in order, none of them without speech. A script that no voice knows is romanised.
    """
    text = speakable(text)
    parts: list[Part] = []
    for voice, start, end, is_known in _stretches(text, voices=voices, book=book):
        written = text[start:end]
        spoken = Spoken.of(written) if is_known else romanised(written)
        spoken = words_of(spoken, voice.languages[0])
        if has_speech(spoken.text):
            parts.append(Part(voice, spoken, start, written))
    return parts


def _stretches(
    text: str, *, voices: Sequence[VoiceInfo], book: VoiceBook
) -> list[tuple[VoiceInfo, int, int, bool]]:
    """Returns voice, start and end of each stretch, and whether the voice knows its script."""
    stretches: list[tuple[VoiceInfo, int, int, bool]] = []
    for run in runs_of(text):
        reader = _reader(run, voices=voices, book=book)
        voice, is_known = reader or voices[0], reader is not None
        if stretches and stretches[-1][0] is voice and stretches[-1][3] is is_known:
            stretches[-1] = (voice, stretches[-1][1], run.end, is_known)
        else:
            stretches.append((voice, run.start, run.end, is_known))
    return stretches


def _reader(run: Run, *, voices: Sequence[VoiceInfo], book: VoiceBook) -> VoiceInfo | None:
    script = run.script
    if script is None:
        return voices[0]
    for voice in voices:
        if _is_native(voice, script):
            return voice
    first = voices[0]
    if script is LATIN or _reads(book.engine(first), script):
        return first
    readers = [
        voice
        for language in script.languages
        for voice in book.speaking(language, field="language")
    ]
    alike = [v for v in readers if v.engine == readers[0].engine and v.gender is first.gender]
    return next(iter([*alike, *readers]), None)


def _is_native(voice: VoiceInfo, script: Script) -> bool:
    language = primary(voice.languages[0])
    if script is LATIN:
        return language not in _OF_OTHER_SCRIPTS
    return language in script.languages


def _reads(engine: TtsEngine, script: Script) -> bool:
    return isinstance(engine, ScriptReader) and script.name in engine.reads
