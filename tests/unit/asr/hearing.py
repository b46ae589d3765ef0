"""What the tests on recordings share."""

from __future__ import annotations

from collections.abc import Sequence

import jiwer
import numpy as np
from numpy.typing import NDArray

from services.asr.events import Final, SpeechEvent
from services.asr.front_end.endpointing import EndpointingLimits
from services.asr.recogniser import Recogniser
from services.asr.session import SessionConfig
from testing.streams.asr import plain_words
from tests.figures import report
from tests.speech import RATE_HZ, Recording, with_silence


async def hear(engine: Recogniser, samples: NDArray[np.int16], **limits: int) -> list[SpeechEvent]:
    """Recognises a recording sent in messages of 100 ms."""
    session = await engine.open_session(
        SessionConfig(sample_rate_hz=RATE_HZ, language="en", limits=EndpointingLimits(**limits))
    )
    events: list[SpeechEvent] = []
    try:
        for start in range(0, len(samples), RATE_HZ // 10):
            events += [e async for e in session.accept(samples[start : start + RATE_HZ // 10])]
        events += [event async for event in session.finish()]
    finally:
        await session.close()
    return events


def finals(events: Sequence[SpeechEvent]) -> list[Final]:
    """The results of the utterances."""
    return [event for event in events if isinstance(event, Final)]


def final_text(events: Sequence[SpeechEvent]) -> str:
    """Their texts as one."""
    return " ".join(final.transcript.text for final in finals(events))


async def word_errors(engine: Recogniser, recordings: Sequence[Recording], label: str) -> float:
    """Word error rate of recordings; prints it."""
    expected = [plain_words(one.text) for one in recordings]
    heard = [
        plain_words(final_text(await hear(engine, with_silence(one.samples, before_ms=300))))
        for one in recordings
    ]
    rate = float(jiwer.wer(expected, heard))
    words = sum(len(text.split()) for text in expected)
    report(f"word error rate, {label}: {100 * rate:.1f} % of {words} words")
    return rate
