"""The real model, where it was pulled: what is heard, measured."""

from __future__ import annotations

import numpy as np
import pytest

from services.tts.engine import Gender
from services.tts.engines.kokoro.engine import KokoroEngine
from testing.streams.tts import pitch_hz, rms
from tests.unit.tts.speaking import Utterance, utter

ENGLISH = "The museum opens at ten, and it closes at six."
CHINESE = "博物馆上午十点开门，下午六点关门。"


def edges_s(spoken: Utterance) -> tuple[float, float]:
    """Seconds of near silence before and after the speech."""
    loud = np.flatnonzero(np.abs(spoken.samples) > 600)
    rate = spoken.sample_rate_hz
    return loud[0] / rate, (len(spoken.samples) - loud[-1]) / rate


@pytest.mark.parametrize(
    ("voice", "text"), [("kokoro-af_heart", ENGLISH), ("kokoro-zf_xiaoxiao", CHINESE)]
)
def test_a_sentence_is_plausible_speech(kokoro: KokoroEngine, voice: str, text: str) -> None:
    spoken = utter(kokoro, voice, text)
    seconds = len(spoken.samples) / spoken.sample_rate_hz
    assert 2 < seconds < 6
    assert np.abs(spoken.samples).max() < 32_767
    assert 700 < rms(spoken.samples) < 8_000
    before_s, after_s = edges_s(spoken)
    assert before_s < 0.15
    assert after_s < 0.5
    assert 130 < pitch_hz(spoken.samples, spoken.sample_rate_hz) < 350
    # vowels are loud, the pause at the comma is quiet
    vowels = [spoken.level(each) for each in spoken.phonemes if each.stress == 2]
    pauses = [each for each in spoken.phonemes[1:-1] if not each.ipa]
    if vowels:
        assert min(vowels) > 300
    assert pauses
    assert all(spoken.level(each) < 0.7 * rms(spoken.samples) for each in pauses)


def test_man_and_woman(kokoro: KokoroEngine) -> None:
    man, woman = (
        utter(kokoro, voice, ENGLISH) for voice in ("kokoro-am_michael", "kokoro-af_heart")
    )
    assert pitch_hz(man.samples, 24_000) < 150 < pitch_hz(woman.samples, 24_000)


def test_all_voices_are_there(kokoro: KokoroEngine) -> None:
    languages = [voice.languages[0] for voice in kokoro.voices()]
    assert languages.count("en-US") == 20
    assert languages.count("en-GB") == 8
    assert languages.count("zh") == 8
    assert {"es", "fr", "hi", "it", "pt-BR"} <= set(languages)
    genders = {voice.gender for voice in kokoro.voices() if voice.languages[0] == "zh"}
    assert genders == {Gender.FEMALE, Gender.MALE}
