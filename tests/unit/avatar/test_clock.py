from fractions import Fraction

import pytest

from services.avatar.video.clock import FrameClock


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 24000, 44100, 48000])
@pytest.mark.parametrize("fps", [10, 24, 25, 30, 59, 60])
def test_frames_are_shown_at_the_nearest_sample_for_ever(rate: int, fps: int) -> None:
    clock = FrameClock(sample_rate_hz=rate, frame_rate_hz=fps)
    for frame in [0, 1, 2, 7, 1000, 10**9]:
        exact = Fraction(frame * rate, fps)
        assert abs(clock.sample_of(frame) - exact) <= Fraction(1, 2)


def test_a_second_has_exactly_its_samples() -> None:
    clock = FrameClock(sample_rate_hz=44100, frame_rate_hz=24)
    assert clock.sample_of(24 * 3600) == 44100 * 3600


@pytest.mark.parametrize("count", [0, 1, 882, 883, 44099, 44100, 44101])
def test_cover_takes_the_fewest_frames(count: int) -> None:
    clock = FrameClock(sample_rate_hz=44100, frame_rate_hz=50)
    frames = clock.frames_to_cover(count)
    assert clock.sample_of(frames) >= count
    assert frames == 0 or clock.sample_of(frames - 1) < count
