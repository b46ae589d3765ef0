"""What Whisper makes up."""

from __future__ import annotations

import pytest

from services.asr.engines.whisper.loops import is_made_up, without_loop

SENTENCE = list(range(10, 22))


def test_text_of_low_probability_in_a_sound_without_speech_is_made_up() -> None:
    assert is_made_up(0.9, -1.5)
    assert not is_made_up(0.9, -0.3)
    assert not is_made_up(0.1, -1.5)


@pytest.mark.parametrize(
    ("ids", "speech_s", "kept"),
    [
        (SENTENCE, 1.5, SENTENCE),
        ([*SENTENCE, *SENTENCE[-5:] * 6], 3.0, SENTENCE),
        (SENTENCE * 4, 3.0, SENTENCE),
        # The decoder was cut off within the phrase.
        ([*[1, 2, 3] * 9, 1], 2.0, [1, 2, 3]),
        ([7] * 40, 3.0, []),
        ([*SENTENCE, *[7] * 40], 3.0, SENTENCE),
        # Three times is not too much for two seconds of speech.
        ([5, 6] * 3, 2.0, [5, 6] * 3),
        ([], 1.0, []),
    ],
)
def test_loop_of_a_decoder_is_removed(ids: list[int], speech_s: float, kept: list[int]) -> None:
    assert without_loop(ids, speech_s) == kept
