"""The choice of the recogniser by the language that is spoken."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from services.asr.engine import Hypothesis
from services.asr.engines.auto.decoder import AutoDecoder

SECOND = 16_000


class English:
    """A decoder that says what it was asked."""

    def __init__(self) -> None:
        self.closed = False

    async def decode(self, samples: NDArray[np.int16], *, partial: bool) -> Hypothesis:
        return Hypothesis(text=f"english {len(samples) // SECOND} {partial}")

    def close(self) -> None:
        self.closed = True


class FollowingEnglish(English):
    """One that is made to follow speech."""

    async def feed(self, samples: NDArray[np.int16]) -> Hypothesis:
        raise AssertionError("the whole segment is decoded")

    async def end(self) -> Hypothesis:
        raise AssertionError("the whole segment is decoded")

    def abandon(self) -> None:
        raise AssertionError("the whole segment is decoded")


class Whisper:
    """Finds the languages that the test says, in order.

    Attributes:
        found: (language, certainty) of each detection.
        asked: The lengths of the recordings whose language was asked for, in seconds.
    """

    def __init__(self, *found: tuple[str, float]) -> None:
        self.found = list(found)
        self.asked: list[float] = []
        self.closed = False

    async def detect(
        self, languages: tuple[str, ...], samples: NDArray[np.int16], *, partial: bool
    ) -> tuple[str, float]:
        self.asked.append(len(samples) / SECOND)
        return self.found.pop(0)

    async def decode_in(
        self, languages: tuple[str, ...], samples: NDArray[np.int16], *, partial: bool
    ) -> Hypothesis:
        return Hypothesis(text=f"whisper {languages[0]} {len(samples) // SECOND} {partial}")

    def close(self) -> None:
        self.closed = True


def decoder(whisper: Whisper, english: English | None = None) -> AutoDecoder:
    return AutoDecoder(
        english=english or English(),
        whisper=whisper,  # type: ignore[arg-type]
        candidates=("en", "zh"),
    )


def speech(seconds: float) -> NDArray[np.int16]:
    return np.ones(round(seconds * SECOND), np.int16)


async def test_the_language_is_found_while_the_person_speaks_and_then_kept() -> None:
    whisper = Whisper(("zh", 0.6), ("zh", 0.95))
    auto = decoder(whisper)
    assert await auto.decode(speech(1), partial=True) == Hypothesis()
    heard = await auto.decode(speech(2), partial=True)
    assert heard == Hypothesis(text="whisper zh 2 True", language="zh")
    final = await auto.decode(speech(4), partial=False)
    assert final == Hypothesis(text="whisper zh 4 False", language="zh")
    assert whisper.asked == [1.0, 2.0]


async def test_english_goes_to_its_own_recogniser() -> None:
    auto = decoder(Whisper(("en", 0.99)))
    heard = await auto.decode(speech(1), partial=False)
    assert heard == Hypothesis(text="english 1 False", language="en")


async def test_no_more_than_three_seconds_are_heard_to_find_the_language() -> None:
    whisper = Whisper(("zh", 0.8))
    heard = await decoder(whisper).decode(speech(5), partial=True)
    assert heard.language == "zh"
    assert whisper.asked == [3.0]


async def test_a_doubtful_language_is_the_likeliest_one() -> None:
    whisper = Whisper(("zh", 0.6), ("zh", 0.99), ("en", 0.65))
    auto = decoder(whisper)
    assert (await auto.decode(speech(1), partial=False)).language == "en"
    assert (await auto.decode(speech(1), partial=False)).language == "zh"
    # Now Chinese is the likeliest one.
    assert (await auto.decode(speech(1), partial=False)).language == "zh"


async def test_the_next_segment_may_be_in_another_language() -> None:
    whisper = Whisper(("zh", 0.99), ("en", 0.99))
    auto = decoder(whisper)
    assert (await auto.decode(speech(2), partial=True)).language == "zh"
    assert (await auto.decode(speech(1), partial=True)).language == "en"


async def test_a_recogniser_that_follows_speech_decodes_only_complete_segments() -> None:
    auto = decoder(Whisper(("en", 0.99)), FollowingEnglish())
    assert await auto.decode(speech(1), partial=True) == Hypothesis(language="en")
    assert (await auto.decode(speech(2), partial=False)).text == "english 2 False"


@pytest.mark.parametrize("partial", [True, False])
async def test_both_decoders_are_released(partial: bool) -> None:
    whisper, english = Whisper(("en", 0.99)), English()
    auto = decoder(whisper, english)
    await auto.decode(speech(1), partial=partial)
    auto.close()
    assert whisper.closed
    assert english.closed
