"""eSpeak NG: over a hundred languages, a plain formant voice, exact times of words and phonemes.

Facts about version 1.52 that this code relies on, all measured: 22,050 Hz; text positions count
characters from 1, and are constant or point inside a word where one written word becomes several
spoken ones; a phoneme's event is at the release of a stop, not at its closure.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

import langcodes
from langcodes.tag_parser import LanguageTagError

from services.runtime.config.settings import ServiceSettings
from services.runtime.engine import EngineInfo
from services.tts.engine import (
    Emit,
    Gender,
    Samples,
    SpeechRequest,
    VoiceInfo,
    languages_of,
)
from services.tts.engines.espeak_library import (
    EspeakEvent,
    EspeakLibrary,
    EspeakVoice,
    PhonemeEvent,
    WordEvent,
)
from services.tts.engines.library_thread import LibraryThread
from services.tts.phrase_by_phrase import Phrase, Spoken, speak_phrases
from services.tts.timing import Sound

_NAME = "espeak"
_LICENCE = "GPL-3.0-or-later"
_NORMAL_WORDS_PER_MINUTE = 175
_NORMAL_PITCH = 50
_NORMAL_RANGE = 50
_MIDDLE = 0.24
_STOPS = tuple("pbtdkɡgqɢʔcɟʈɖ")
_CLOSURE_MS = 45
# A higher number marks languages that are only related: Cantonese lists "zh" with 8.
_MAX_RANK = 7
# The voice file "en" is British; the others are named by country.
_FILE_NAMES = {"en": "en-gb"}

_Phrase = tuple[Samples, list[EspeakEvent]]


class EspeakEngine:
    """eSpeak NG from the wheel `espeakng-loader`."""

    preferences: ClassVar[Mapping[str, int]] = {"*": 10}

    def __init__(self, settings: ServiceSettings) -> None:
        del settings
        self._thread: LibraryThread[_Phrase] = LibraryThread(name="espeak")
        self._identifiers: dict[str, str] = {}
        self._voices: list[VoiceInfo] = []
        with EspeakLibrary() as library:
            self._version = f"{library.version} (espeakng-loader {_loader_version()})"
            self._sample_rate_hz = library.sample_rate_hz
            voices = library.voices()
        for voice in sorted(voices, key=_generality):
            info = self._voice_info(voice)
            self._identifiers[info.name] = voice.identifier
            self._voices.append(info)

    async def open(self) -> None:
        """Does nothing: the constructor has loaded the library to check that it works."""

    def describe(self) -> EngineInfo:
        """Describes the engine."""
        return EngineInfo(
            name=_NAME,
            version=self._version,
            licence=_LICENCE,
            languages=languages_of(self._voices),
        )

    def voices(self) -> Sequence[VoiceInfo]:
        """Lists the voices, each named `espeak-<voice file>`."""
        return self._voices

    def synthesize(self, request: SpeechRequest, emit: Emit) -> None:
        """Speaks a segment phrase by phrase."""

        def speak(phrase: Phrase) -> Iterator[Spoken]:
            for samples, events in self._thread.stream(self._job(phrase.text, request)):
                closure = self._closure_samples(request)
                yield Spoken(samples, sounds_of(events, sample_count=len(samples), closure=closure))

        speak_phrases(request, emit, speak)

    async def close(self) -> None:
        """Ends the library's thread."""
        await asyncio.to_thread(self._thread.close)

    def _job(
        self, phrase: str, request: SpeechRequest
    ) -> Callable[[Callable[[_Phrase], bool]], None]:
        def produce(emit: Callable[[_Phrase], bool]) -> None:
            with EspeakLibrary() as library:
                phrase_spoken = library.synthesize(
                    phrase,
                    identifier=self._identifiers[request.voice.name],
                    words_per_minute=round(_NORMAL_WORDS_PER_MINUTE * request.rate_percent / 100),
                    pitch=pitch_settings(request.pitch_percent),
                )
            emit(phrase_spoken)

        return produce

    def _closure_samples(self, request: SpeechRequest) -> int:
        return self._sample_rate_hz * _CLOSURE_MS // (10 * request.rate_percent)

    def _voice_info(self, voice: EspeakVoice) -> VoiceInfo:
        file_name = voice.identifier.rpartition("/")[2].lower()
        # A voice that reads a romanisation cannot read the language's own script.
        tags = (
            [file_name]
            if "-latn" in file_name
            else [tag for rank, tag in voice.languages if rank <= _MAX_RANK]
        )
        languages = dict.fromkeys(_valid_tag(tag) for tag in tags)
        return VoiceInfo(
            name=f"espeak-{_FILE_NAMES.get(file_name, file_name)}",
            display_name=f"{voice.name} (eSpeak NG)",
            languages=tuple(languages),
            gender=Gender.MALE,
            sample_rate_hz=self._sample_rate_hz,
            engine=_NAME,
            licence=_LICENCE,
        )


def pitch_settings(percent: int) -> tuple[int, int]:
    """Returns eSpeak's base and range, 0 to 100 each, for a pitch in percent.

    eSpeak (wavegen.c) multiplies only the base of a voice, by 64/128 to 255/128 for 0 to 100 in
    equal steps of the octave, and keeps the middle of the range, which is 0.24 of the base above
    the base in its standard voice (pitch 82 118). So the middle can go down to 60 % and up to 180
    %.
    """
    factor = min(max(percent / 100 * (1 + _MIDDLE) - _MIDDLE, 0.5), 2.0)
    base = round(_NORMAL_PITCH * (1 + math.log2(factor)))
    return base, min(_NORMAL_RANGE * percent // 100, 99)


def sounds_of(events: Sequence[EspeakEvent], *, sample_count: int, closure: int) -> list[Sound]:
    """Converts the events of a phrase to sounds that cover its audio without gaps.

    A word's first sound starts with its word. A stop inside a word starts `closure` samples before
    its release, but takes at most half of the previous sound: the lips close before the burst is
    heard.
    """
    starts: list[tuple[int, str, int]] = [(0, "", 0)]
    char, word_start = 0, -1
    for event in events:
        if isinstance(event, WordEvent):
            char, word_start = event.char, event.sample
        elif isinstance(event, PhonemeEvent) and not event.ipa.startswith("("):
            start = event.sample
            ipa = event.ipa.strip("ˈˌ")
            if ipa and word_start >= 0:
                start = word_start
            elif ipa.startswith(_STOPS) and starts[-1][1]:
                start -= min(closure, (start - starts[-1][0]) // 2)
            word_start = -1
            starts.append((max(start, starts[-1][0]), event.ipa, char))
    ends = [min(start, sample_count) for start, _, _ in starts[1:]] + [sample_count]
    return [
        Sound(ipa.strip("ˈˌ"), _stress(ipa), char, min(start, end), end)
        for (start, ipa, char), end in zip(starts, ends, strict=True)
    ]


def _stress(ipa: str) -> int:
    return {"ˈ": 2, "ˌ": 1}.get(ipa[:1], 0)


def _generality(voice: EspeakVoice) -> tuple[str, int]:
    """Sorts by language, and within one by eSpeak's priority for the language as a whole."""
    base = voice.languages[0][1].partition("-")[0]
    return base, min((rank for rank, tag in voice.languages if tag == base), default=99)


def _valid_tag(tag: str) -> str:
    """Returns the longest valid prefix of a tag: eSpeak has "en-us-nyc"."""
    while True:
        try:
            return langcodes.standardize_tag(tag)
        except LanguageTagError:
            tag, dash, _ = tag.rpartition("-")
            if not dash:
                raise


def _loader_version() -> str:
    return importlib.metadata.version("espeakng-loader")
