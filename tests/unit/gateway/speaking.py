"""Speaks to a session in a test, like a microphone."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from anima.common.v1 import common_pb2 as common
from gateway.session.session import Session
from testing.fakes.stages import LOUD

MICROPHONE_RATE = 16_000


def speech(*parts: float) -> np.ndarray[Any, Any]:
    """Returns alternating silence and speech, seconds each; every loud sample is different."""
    pieces = []
    for number, seconds in enumerate(parts):
        count = round(seconds * MICROPHONE_RATE)
        loud = LOUD + np.arange(count) % 1000
        pieces.append(loud if number % 2 else np.zeros(count))
    return np.concatenate(pieces).astype("<i2")


class Speaker:
    """Sends audio as a microphone does: 20 ms at a time, in real time."""

    def __init__(self, session: Session, *, start_sample: int = 0) -> None:
        self.session = session
        self.sample = start_sample

    async def say(self, samples: np.ndarray[Any, Any]) -> None:
        for start in range(0, len(samples), MICROPHONE_RATE // 50):
            piece = samples[start : start + MICROPHONE_RATE // 50]
            await self.session.audio(
                common.AudioChunk(
                    start_sample=self.sample, sample_rate_hz=MICROPHONE_RATE, pcm=piece.tobytes()
                )
            )
            self.sample += len(piece)
            await asyncio.sleep(len(piece) / MICROPHONE_RATE)
