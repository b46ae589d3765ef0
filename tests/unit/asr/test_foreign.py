"""Speech in a language that nobody understands is an error, if the caller expects that language."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
from numpy.typing import NDArray

from anima.asr.v1 import RecognizeRequest
from services.asr.engine import DecoderConfig, Hypothesis
from services.asr.recogniser import Recogniser
from services.asr.servicer import AsrServicer
from services.asr.settings import AsrSettings
from services.runtime.engine import EngineInfo
from services.runtime.errors import FailedPrecondition
from testing.streams.asr import audio, config, end_of_speech, kind
from tests.speech import go_forward, with_silence


class Guessing:
    """An engine for English that guesses at foreign speech."""

    async def open(self) -> None:
        pass

    def describe(self) -> EngineInfo:
        return EngineInfo(
            name="guessing",
            version="1",
            licence="MIT",
            languages=("en",),
            more_languages="pull more",
        )

    async def open_decoder(self, config: DecoderConfig) -> Guessing:
        assert config.language == "en"
        return self

    async def decode(self, samples: NDArray[np.int16], *, partial: bool) -> Hypothesis:
        return Hypothesis(text="Mehal can go seriously.", foreign=not partial)

    def close(self) -> None:
        pass


async def heard(*candidates: str, language: str) -> list[str]:
    """Returns the kinds of the answers to a recording."""
    settings = AsrSettings(engine="guessing")
    recogniser = Recogniser(Guessing(), settings)  # type: ignore[arg-type]
    await recogniser.open()
    samples = with_silence(go_forward().samples, before_ms=300)

    async def requests() -> AsyncIterator[RecognizeRequest]:
        yield config(language=language, candidate_languages=candidates)
        for request in audio(samples):
            yield request
        yield end_of_speech()

    servicer = AsrServicer(recogniser, capacity=1)
    return [
        str(kind(response))
        async for response in servicer.Recognize(requests(), None)  # type: ignore[arg-type]
    ]


async def test_the_error_names_the_language_and_the_remedy() -> None:
    with pytest.raises(FailedPrecondition, match="understands English only, not 'zh'") as caught:
        await heard("zh", "en", language="zh")
    assert caught.value.reason == "LANGUAGE_NOT_SUPPORTED"
    assert caught.value.metadata == {"language": "zh", "known": "en", "remedy": "pull more"}


async def test_a_person_who_was_expected_to_speak_english_is_heard() -> None:
    assert (await heard("en", "zh", language="en"))[-1] == "final"
