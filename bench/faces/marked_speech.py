"""Speech of the installed voices with its visemes, the input of the avatar benchmarks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.avatar.animation.animation import Animator
from services.avatar.animation.parameters import FaceParameters
from services.avatar.engine import VisemeSpan
from services.runtime.observing.logs import configure_logging
from services.tts.engine import PhonemeTiming, SpeechChunk, SpeechRequest
from services.tts.settings import TtsSettings
from services.tts.visemes import visemes_of
from services.tts.voices import load_engines, open_engines

VOICES = ("slt", "rms", "espeak-en-us")
SENTENCES = (
    "Hello, and welcome back. What would you like to talk about today?",
    "My name is Anima, and I am a digital human.",
    "People probably remember the bright blue boats in the harbour.",
    "Could you please move the big box from the table to the floor?",
    "The weather is warm, but the wind may bring some rain by the evening.",
    "Peter bought five pounds of apples and a bottle of milk.",
    "I do not know the answer, so I will look it up for you.",
    "We thought about the problem for a very long time.",
    "She sells sea shells by the sea shore every summer.",
    "Maybe you should open the window and let in some fresh air.",
    "The quick brown fox jumps over the lazy dog.",
    "How much wood would a woodchuck chuck?",
    "He was born on the first of May in nineteen eighty two.",
    "Simple ideas often work better than complicated plans.",
    "I can remind you about the meeting tomorrow morning at half past ten.",
    "The museum opens at nine and closes at a quarter to six.",
    "You have three new messages, and one of them is from your mother.",
    "Bob and Pam may come home by bus.",
    "This is the most beautiful place I have ever seen.",
    "Thank you very much. It was a pleasure to meet you.",
)
_SILENCE = 1


@dataclass(frozen=True, kw_only=True)
class MarkedSpeech:
    """A sentence spoken by a voice."""

    voice: str
    sample_rate_hz: int
    audio: NDArray[np.int16]
    spans: list[VisemeSpan]


def speak(sentences: int | None = None) -> list[MarkedSpeech]:
    """Returns the first sentences, or all, spoken by every installed voice of `VOICES`."""
    spoken = []
    settings = TtsSettings(log_level="error")
    configure_logging(settings)  # programs may read the output
    for engine in asyncio.run(open_engines(load_engines(settings), settings)):
        for voice in engine.voices():
            if voice.name not in VOICES:
                continue
            for text in SENTENCES[:sentences]:
                chunks: list[SpeechChunk] = []

                def keep(chunk: SpeechChunk, chunks: list[SpeechChunk] = chunks) -> bool:
                    chunks.append(chunk)
                    return True

                engine.synthesize(SpeechRequest(text=text, voice=voice), keep)
                spoken.append(
                    MarkedSpeech(
                        voice=voice.name,
                        sample_rate_hz=voice.sample_rate_hz,
                        audio=np.concatenate([c.samples for c in chunks]).astype(np.int16),
                        spans=[s for c in chunks for p in c.phonemes for s in _spans(p)],
                    )
                )
        asyncio.run(engine.close())
    return spoken


def animate(speech: MarkedSpeech, *, marked: bool, frame_rate_hz: int = 25) -> list[FaceParameters]:
    """Returns the face of every whole frame, by the marks or by the sound alone."""
    animator = Animator(
        sample_rate_hz=speech.sample_rate_hz,
        frame_rate_hz=frame_rate_hz,
        idle_frame=0,
        seed=speech.voice,
    )
    if marked:
        animator.add_visemes(speech.spans)
    animator.add_audio(speech.audio)
    animator.end_audio()
    frame_count = len(speech.audio) * frame_rate_hz // speech.sample_rate_hz
    return [animator.next() for _ in range(frame_count)]


def _spans(phoneme: PhonemeTiming) -> list[VisemeSpan]:
    length = phoneme.end_sample - phoneme.start_sample
    visemes = visemes_of(phoneme.ipa) if phoneme.ipa else ((_SILENCE, 1),)
    total = sum(weight for _, weight in visemes)
    spans, at, seen = [], phoneme.start_sample, 0
    for viseme, weight in visemes:
        seen += weight
        end = phoneme.start_sample + length * seen // total
        if end > at:
            spans.append(
                VisemeSpan(
                    viseme=int(viseme),
                    start_sample=at,
                    sample_count=end - at,
                    stress=phoneme.stress,
                )
            )
        at = end
    return spans
