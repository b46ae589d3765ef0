"""Synthetic questions for tests, by flite: the embedded recogniser understands its voices."""

from __future__ import annotations

import asyncio

import numpy as np
from numpy.typing import NDArray

from services.tts.engine import SpeechChunk, SpeechRequest
from services.tts.engines.flite import FliteEngine
from services.tts.settings import TtsSettings
from tests.requirements import need

RATE_HZ = 16_000


def spoken(text: str, *, voice: str = "kal16") -> NDArray[np.int16]:
    """Speaks a text: mono samples at 16 kHz. Needs flite."""
    need("flite")
    engine = FliteEngine(TtsSettings())
    pieces: list[NDArray[np.int16]] = []

    def keep(chunk: SpeechChunk) -> bool:
        pieces.append(chunk.samples)
        return True

    try:
        info = next(each for each in engine.voices() if each.name == voice)
        engine.synthesize(SpeechRequest(voice=info, text=text), keep)
    finally:
        asyncio.run(engine.close())
    return np.concatenate(pieces)
