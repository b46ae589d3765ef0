"""The people of the benchmarks: natural voices where they were pulled, and recordings of real ones.

Their speech is made before a measurement starts. Without `anima models pull voices` they speak by
flite, which recognisers understand worse than people.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from anima.tts import v1 as tts
from testing.speech.recordings import POCKETSPHINX_TESTDATA, card_commands, robot_commands

if TYPE_CHECKING:
    from anima.tts.v1.tts_pb2_grpc import TtsServiceAsyncStub

RATE_HZ: Final = 16_000
AUDIBLE: Final = 300
"""Samples of a greater magnitude count as speech."""

QUESTIONS: Final = (
    "What can you do?", "Who are you?", "How does your memory work?", "Can I interrupt you?",
    "What languages do you speak?", "Are you a real person?", "Who made you?",
    "How do you work?", "What does the gateway do?", "How do you answer so fast?",
    "What is a digital human?", "Which services are there?", "How are you today?",
    "Do you remember my name?", "Can you help me?", "Where do you come from?",
    "What happens when I ask a question?", "How do I change your face?",
    "Do you need a graphics card?", "Thank you, that was very helpful.",
)  # fmt: skip
_NATURAL: Final = ("kokoro-af_bella", "kokoro-am_michael", "kokoro-bf_emma", "kokoro-bm_george")
_PLAIN: Final = ("kal16", "awb", "rms", "slt")
_ASKED_EVERY_S: Final = 0.2


@dataclass(frozen=True)
class Utterance:
    """Something that a person says.

    Attributes:
        who: The voice, or the recording.
        text: What is said.
        samples: Mono at 16 kHz, up to the last audible sample.
    """

    who: str
    text: str
    samples: NDArray[np.int16]


async def until_measured(stub: TtsServiceAsyncStub) -> list[tts.Voice]:
    """Returns the voices as soon as none is being loaded any more."""
    while True:
        voices = (await stub.ListVoices(tts.ListVoicesRequest())).voices
        if all(voice.use != tts.VOICE_USE_LOADING for voice in voices):
            return list(voices)
        await asyncio.sleep(_ASKED_EVERY_S)


async def voices_of_people(stub: TtsServiceAsyncStub) -> tuple[str, ...]:
    """Returns the names of the voices with which people ask, natural ones if there are any."""
    known = {voice.name for voice in await until_measured(stub)}
    return _NATURAL if known.issuperset(_NATURAL) else _PLAIN


async def questions(stub: TtsServiceAsyncStub, most: int) -> list[Utterance]:
    """Returns every question once, at most so many, by the voices in turn."""
    voices = await voices_of_people(stub)
    return [
        Utterance(voice, question, await spoken(stub, question, voice))
        for question, voice in zip(QUESTIONS[:most], itertools.cycle(voices), strict=False)
    ]


def recorded() -> list[Utterance]:
    """Returns seven commands that real people said; none without Debian's pocketsphinx-testdata."""
    if not POCKETSPHINX_TESTDATA.is_dir():
        return []
    return [
        Utterance(each.name, each.text, _until_the_end(each.samples))
        for each in (*card_commands(), *robot_commands())
    ]


async def spoken(stub: TtsServiceAsyncStub, text: str, voice: str) -> NDArray[np.int16]:
    """Returns a text spoken by the mesh's TTS: 16 kHz, ending with the last audible sample."""

    async def requests() -> AsyncIterator[tts.SynthesizeRequest]:
        config = tts.SynthesizeConfig(
            turn_id="question", voices=[voice], language="en", sample_rate_hz=RATE_HZ
        )
        yield tts.SynthesizeRequest(config=config)
        yield tts.SynthesizeRequest(text=tts.TextSegment(segment=1, text=text))
        yield tts.SynthesizeRequest(end_of_text=tts.EndOfText())

    pcm = [
        answer.audio.pcm async for answer in stub.Synthesize(requests()) if answer.HasField("audio")
    ]
    return _until_the_end(np.frombuffer(b"".join(pcm), dtype="<i2"))


def _until_the_end(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    return samples[: int(np.flatnonzero(np.abs(samples) > AUDIBLE)[-1]) + 1]
