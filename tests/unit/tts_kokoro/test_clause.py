"""The times of a clause: cut where it is silent, and every frame assigned to a sound."""

from __future__ import annotations

import numpy as np
import pytest

from services.tts.engines.kokoro.model import FRAME_SAMPLES, SAMPLE_RATE_HZ
from services.tts.neural.clause import Utterance, clause_of
from services.tts.neural.units import Unit

UNITS = [Unit("ˈa", "a", 2, 0), Unit("n", "n", 0, 0), Unit(".", "", 0, 1)]
FRAMES = [14, 1, 4, 10, 6, 1]


def spoken(*, first: int, last: int, level: float = 0.3) -> Utterance:
    """Noise from one frame to another, and silence around it."""
    samples = np.zeros(sum(FRAMES) * FRAME_SAMPLES, np.float32)
    heard = slice(first * FRAME_SAMPLES, (last + 1) * FRAME_SAMPLES)
    noise = np.random.default_rng(1).uniform(-level, level, len(samples))
    samples[heard] = noise.astype(np.float32)[heard]
    return Utterance(
        samples=samples,
        frames=np.array(FRAMES),
        frame_samples=FRAME_SAMPLES,
        sample_rate_hz=SAMPLE_RATE_HZ,
    )


def spans(utterance: Utterance) -> list[tuple[str, int, int]]:
    clause = clause_of(UNITS, utterance)
    assert clause.sounds[0].start_sample == 0
    assert clause.sounds[-1].end_sample == len(clause.samples)
    return [
        (each.ipa, each.start_sample // FRAME_SAMPLES, each.end_sample // FRAME_SAMPLES)
        for each in clause.sounds
    ]


def test_silence_is_cut_and_the_lips_close_when_the_sound_ends() -> None:
    # 14 frames of silence, then 5 of "a"; "n" is heard for 3 of its 10,
    # and of the silence at the end a quarter of a second is kept
    found = spans(spoken(first=14, last=21))
    assert found == [("", 0, 2), ("a", 2, 7), ("n", 7, 10), ("", 10, 20)]


def test_a_sound_that_is_early_keeps_its_beginning() -> None:
    found = spans(spoken(first=12, last=28))
    assert found[:3] == [("", 0, 2), ("a", 2, 9), ("n", 9, 19)]
    assert spans(spoken(first=0, last=28))[:2] == [("", 0, 2), ("a", 2, 11)]


@pytest.mark.parametrize("level", [0.1, 0.3, 0.6])
def test_every_voice_is_as_loud_and_none_is_clipped(level: float) -> None:
    samples = clause_of(UNITS, spoken(first=14, last=28, level=level)).samples.astype(float)
    heard = samples[3 * FRAME_SAMPLES : 16 * FRAME_SAMPLES]
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.12 * 32_767, rel=0.05)
    assert np.abs(samples).max() < 32_767


def test_silence_stays_silent() -> None:
    utterance = spoken(first=0, last=-1)
    assert not clause_of(UNITS, utterance).samples.any()
