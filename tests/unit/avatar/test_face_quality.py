"""The benchmark's goals must be able to fail."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.faces.face_quality import FPS, check_lag
from bench.faces.marked_speech import MarkedSpeech
from bench.goals import Goals

RATE = 16_000
SECONDS = 24


@pytest.fixture(scope="module")
def opening() -> NDArray[np.float64]:
    """A mouth that opens and closes at random, one value a frame."""
    steps = np.random.default_rng(5).normal(0, 1, SECONDS * FPS)
    return np.convolve(steps, np.hanning(7), mode="same")


def spoken(opening: NDArray[np.float64]) -> MarkedSpeech:
    """Noise that is loud where the mouth is open."""
    at = np.arange(SECONDS * RATE) / RATE * FPS
    level = 10 ** (np.interp(at, np.arange(len(opening)), opening) / 5)
    noise = np.random.default_rng(6).normal(0, 300, len(at))
    audio = np.clip(noise * level, -32_000, 32_000).astype(np.int16)
    return MarkedSpeech(voice="noise", sample_rate_hz=RATE, audio=audio, spans=[])


def missed(opening: NDArray[np.float64], mouth: NDArray[np.float64]) -> list[str]:
    goals = Goals()
    check_lag("lag", [spoken(opening)], [np.stack([mouth, mouth], axis=1)], goals)
    return goals.missed


def test_a_mouth_with_its_sound_meets_the_goal(opening: NDArray[np.float64]) -> None:
    assert missed(opening, opening) == []


@pytest.mark.parametrize("frames", [-4, -2, 2, 4])
def test_a_shifted_mouth_misses_it(opening: NDArray[np.float64], frames: int) -> None:
    (line,) = missed(opening, np.roll(opening, frames))
    assert f"{frames:+d} frames" in line


def test_a_mouth_of_another_speech_misses_it(opening: NDArray[np.float64]) -> None:
    assert any("confidence of the peak" in line for line in missed(opening, opening[::-1]))


def test_a_figure_at_its_goal_meets_it_and_one_beyond_does_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    goals = Goals()
    goals.at_most("jump", 1.5, 1.5)
    goals.at_least("closed", 0.95, 0.95)
    assert goals.missed == []
    goals.at_most("jump", 1.51, 1.5)
    goals.at_least("closed", 0.94, 0.95)
    assert [line.split(":")[0] for line in goals.missed] == ["jump", "closed"]
    assert capsys.readouterr().out.count("MISSED") == 2
