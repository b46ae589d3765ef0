"""Speaks with an engine into memory and checks the contract of every engine."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from services.tts.engine import (
    Gender,
    PhonemeTiming,
    Samples,
    SpeechChunk,
    SpeechRequest,
    TtsEngine,
    VoiceInfo,
    WordTiming,
)


def voice_of(engine: str, language: str) -> VoiceInfo:
    """Returns a voice of an engine that never speaks, named after both."""
    return VoiceInfo(
        name=f"{engine}-{language}",
        display_name=engine,
        languages=(language,),
        gender=Gender.UNKNOWN,
        sample_rate_hz=16_000,
        engine=engine,
        licence="MIT",
    )


@dataclass
class Utterance:
    """The output of an engine for one segment."""

    text: str
    samples: Samples
    words: list[WordTiming]
    phonemes: list[PhonemeTiming]
    sample_rate_hz: int

    @property
    def word_texts(self) -> list[str]:
        return [self.text[word.start_char : word.end_char] for word in self.words]

    def level(self, phoneme: PhonemeTiming) -> float:
        """The RMS of a phoneme's audio."""
        piece = self.samples[phoneme.start_sample : phoneme.end_sample].astype(float)
        return float(np.sqrt(np.mean(piece**2))) if len(piece) else 0.0


def utter(
    engine: TtsEngine, voice: str, text: str, *, rate_percent: int = 100, pitch_percent: int = 100
) -> Utterance:
    """Speaks a text and checks the contract of SpeechChunk."""
    info = voice_named(engine, voice)
    chunks: list[SpeechChunk] = []

    def keep(chunk: SpeechChunk) -> bool:
        chunks.append(chunk)
        return True

    request = SpeechRequest(
        text=text, voice=info, rate_percent=rate_percent, pitch_percent=pitch_percent
    )
    engine.synthesize(request, keep)
    sample, known = 0, 0
    for chunk in chunks:
        for phoneme in chunk.phonemes:
            assert phoneme.start_sample == known
            assert phoneme.end_sample >= known
            assert (phoneme.chars is None) == (phoneme.ipa == "")
            known = phoneme.end_sample
        sample += len(chunk.samples)
        assert sample <= known
    assert sample == known
    words = [word for chunk in chunks for word in chunk.words]
    for before, after in pairwise(words):
        assert before.end_char <= after.start_char
        assert before.end_sample <= after.start_sample
    return Utterance(
        text=text,
        samples=np.concatenate([np.zeros(0, np.int16), *(chunk.samples for chunk in chunks)]),
        words=words,
        phonemes=[phoneme for chunk in chunks for phoneme in chunk.phonemes],
        sample_rate_hz=info.sample_rate_hz,
    )


def voice_named(engine: TtsEngine, name: str) -> VoiceInfo:
    return next(voice for voice in engine.voices() if voice.name == name)
