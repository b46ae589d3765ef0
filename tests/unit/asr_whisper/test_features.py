"""The spectrogram against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from services.asr.engines.whisper.features import LogMel, mel_filters


def by_definition(samples: NDArray[np.int16], frames: int, bins: int) -> NDArray[np.float64]:
    """The method of openai/whisper, frame by frame over the padded recording."""
    audio = np.zeros(frames * 160)
    audio[: len(samples)] = samples[: len(audio)] / 32768.0
    padded = np.pad(audio, 200, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    pieces = np.stack([padded[at * 160 : at * 160 + 400] * window for at in range(frames)])
    power = np.abs(np.fft.rfft(pieces)) ** 2
    decades = np.log10(np.maximum(power @ mel_filters(bins).T, 1e-10))
    return np.asarray((np.maximum(decades, decades.max() - 8.0) + 4.0) / 4.0).T


@pytest.mark.parametrize("samples", [1, 399, 400, 401, 16_000, 158_321])
@pytest.mark.parametrize("bins", [80, 128])
def test_the_spectrogram_is_that_of_whisper(samples: int, bins: int) -> None:
    audio = np.random.default_rng(samples).normal(0, 3_000, samples).astype(np.int16)
    found = LogMel(bins)(audio, 1000)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, by_definition(audio, 1000, bins), atol=1e-4)


def test_what_is_longer_than_the_window_is_left_out() -> None:
    audio = np.random.default_rng(1).normal(0, 3_000, 200_000).astype(np.int16)
    found = LogMel(80)(audio, 1000)
    # The last frame of the definition mirrors the end of the recording; here silence follows.
    np.testing.assert_allclose(found[:, :-2], by_definition(audio, 1000, 80)[:, :-2], atol=1e-4)


def test_nothing_is_silence() -> None:
    assert np.unique(LogMel(80)(np.zeros(0, np.int16), 100)) == pytest.approx(-1.5)


def test_filters_have_the_area_and_the_places_of_slaneys() -> None:
    filters = mel_filters(80)
    assert filters.shape == (80, 201)
    # From the file mel_filters.npz of openai/whisper.
    assert filters[0, 1] == pytest.approx(0.02486259, abs=1e-7)
    assert filters.max() == pytest.approx(0.02588068, abs=1e-7)
    centres_hz = filters.argmax(axis=1) * 40.0
    assert (np.diff(centres_hz) >= 0).all()
    assert centres_hz[-1] > 7_500
