"""The engine: what Anima's speech service needs to speak with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import ClassVar

import numpy as np
from pydantic import Field

from anima_morse.code import signals
from services.runtime.engine import EngineInfo
from services.runtime.engine_options import EngineOptions
from services.tts.engine import Emit, Gender, Samples, SpeechChunk, SpeechRequest, VoiceInfo
from services.tts.settings import TtsSettings
from services.tts.text_spans import has_speech, phrases, speakable
from services.tts.timing import Sound, marks_of

_NAME = "morse"
_LICENCE = "Apache-2.0"
_SAMPLE_RATE_HZ = 16_000
_AMPLITUDE = 9_000
_EDGE_MS = 4
_VOICE = VoiceInfo(
    name="morse",
    display_name="Morse code",
    languages=("en",),
    gender=Gender.UNKNOWN,
    sample_rate_hz=_SAMPLE_RATE_HZ,
    engine=_NAME,
    licence=_LICENCE,
)


class MorseOptions(EngineOptions):
    """The options of the engine, read from `ANIMA_TTS_*`."""

    words_per_minute: int = Field(default=20, ge=5, le=60)
    """Speed; a word is "PARIS", which takes 50 dots."""
    tone_hz: int = Field(default=160, ge=100, le=2_000)
    """Frequency of the tone."""


class MorseEngine:
    """A `services.tts.engine.TtsEngine`."""

    options_type: ClassVar = MorseOptions
    preferences: ClassVar[Mapping[str, int]] = {"*": 0}

    def __init__(self, settings: TtsSettings) -> None:
        self._options = MorseOptions.read(settings)

    async def open(self) -> None:
        """Loads nothing. An engine with weights loads them here, in a thread."""

    def describe(self) -> EngineInfo:
        """Returns what the engine is."""
        return EngineInfo(
            name=_NAME,
            version=version("anima-engine-morse"),
            licence=_LICENCE,
            languages=_VOICE.languages,
        )

    def voices(self) -> Sequence[VoiceInfo]:
        """Returns the one voice."""
        return [_VOICE]

    def synthesize(self, request: SpeechRequest, emit: Emit) -> None:
        """Speaks a segment phrase by phrase; see `TtsEngine.synthesize`."""
        text = speakable(request.text)
        start_sample = 0
        for start_char, end_char in phrases(text):
            phrase = text[start_char:end_char]
            if not has_speech(phrase):
                continue
            samples, sounds = self._speak(phrase, request)
            if not sounds:
                continue
            words, phonemes = marks_of(
                phrase, sounds, start_char=start_char, start_sample=start_sample
            )
            start_sample += len(samples)
            if not emit(SpeechChunk(samples=samples, words=words, phonemes=phonemes)):
                return

    async def close(self) -> None:
        """Releases nothing."""

    def _speak(self, phrase: str, request: SpeechRequest) -> tuple[Samples, list[Sound]]:
        """Returns the audio of a phrase and its sounds, a tone as an open mouth."""
        dot_s = 1.2 / self._options.words_per_minute * 100 / request.rate_percent
        dot_samples = round(dot_s * _SAMPLE_RATE_HZ)
        tone_hz = self._options.tone_hz * request.pitch_percent / 100
        pieces: list[Samples] = []
        sounds: list[Sound] = []
        end = 0
        for signal in [*signals(phrase)]:
            count = signal.dots * dot_samples
            pieces.append(tone(count, tone_hz) if signal.tone else np.zeros(count, np.int16))
            ipa, stress = ("a", 2 if signal.dots > 1 else 0) if signal.tone else ("", 0)
            sounds.append(Sound(ipa, stress, signal.char, end, end + count))
            end += count
        return np.concatenate([np.zeros(0, np.int16), *pieces]), sounds


def tone(sample_count: int, frequency_hz: float) -> Samples:
    """Returns a tone that fades in and out, so that it does not click."""
    time_s = np.arange(sample_count) / _SAMPLE_RATE_HZ
    edge = max(1, min(_EDGE_MS * _SAMPLE_RATE_HZ // 1000, sample_count // 2))
    envelope = np.ones(sample_count)
    envelope[:edge] = np.linspace(0, 1, edge)
    envelope[-edge:] = envelope[:edge][::-1]
    wave = np.sin(2 * np.pi * frequency_hz * time_s) * envelope * _AMPLITUDE
    return np.round(wave).astype(np.int16)
