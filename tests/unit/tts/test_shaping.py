from __future__ import annotations

import numpy as np
import pytest

from anima.common.v1 import VISEME_AA, VISEME_IH, VISEME_PP, VISEME_SIL
from services.tts.engine import PhonemeTiming, SpeechChunk, WordTiming
from services.tts.loudness import with_volume
from services.tts.shaping import Piece, SegmentShaper, Shape

RATE = 10_000


def phoneme(ipa: str, start: int, end: int) -> PhonemeTiming:
    chars = (0, 3) if ipa else None
    return PhonemeTiming(ipa=ipa, stress=0, chars=chars, start_sample=start, end_sample=end)


def chunk(count: int, *phonemes: PhonemeTiming, words: tuple[WordTiming, ...] = ()) -> SpeechChunk:
    return SpeechChunk(samples=np.full(count, 1_000, np.int16), words=words, phonemes=phonemes)


def shape(
    *chunks: SpeechChunk, to_hz: int = RATE, lead_ms: int = 20, pause_ms: int = 100
) -> list[Piece]:
    shaper = SegmentShaper(
        Shape(from_hz=RATE, to_hz=to_hz, lead_ms=lead_ms, pause_ms=pause_ms, volume_percent=100)
    )
    pieces = [piece for item in chunks for piece in shaper.feed(item)]
    return pieces + list(shaper.finish())


def visemes(pieces: list[Piece]) -> list[tuple[int, int, int]]:
    return [
        (mark.viseme, mark.start_sample, mark.sample_count)
        for piece in pieces
        for mark in piece.visemes
    ]


def length(pieces: list[Piece]) -> int:
    return sum(len(piece.samples) for piece in pieces)


def test_long_silence_around_is_cut_and_marks_move() -> None:
    word = WordTiming(start_char=0, end_char=3, start_sample=3_000, end_sample=5_000)
    pieces = shape(
        chunk(
            9_000,
            phoneme("", 0, 3_000),
            phoneme("p", 3_000, 4_000),
            phoneme("ɑ", 4_000, 5_000),
            phoneme("", 5_000, 9_000),
            words=(word,),
        )
    )
    assert visemes(pieces) == [
        (VISEME_SIL, 0, 200),
        (VISEME_PP, 200, 1_000),
        (VISEME_AA, 1_200, 1_000),
        (VISEME_SIL, 2_200, 1_000),
    ]
    assert length(pieces) == 3_200
    (spoken,) = [mark for piece in pieces for mark in piece.words]
    assert (spoken.start_sample, spoken.sample_count) == (200, 2_000)


def test_short_silence_is_filled_up_and_none_is_added_in_front() -> None:
    pieces = shape(chunk(1_000, phoneme("p", 0, 1_000)))
    assert visemes(pieces) == [(VISEME_PP, 0, 1_000), (VISEME_SIL, 1_000, 1_000)]
    audio = np.concatenate([piece.samples for piece in pieces])
    assert audio[:1_000].tolist() == [1_000] * 1_000
    assert not audio[1_000:].any()


def test_a_pause_inside_stays_whole() -> None:
    pieces = shape(
        chunk(4_000, phoneme("p", 0, 1_000), phoneme("", 1_000, 6_000)),
        chunk(4_000, phoneme("ɑ", 6_000, 8_000)),
        pause_ms=0,
    )
    assert visemes(pieces) == [
        (VISEME_PP, 0, 1_000),
        (VISEME_SIL, 1_000, 5_000),
        (VISEME_AA, 6_000, 2_000),
    ]
    assert length(pieces) == 8_000


def test_silence_is_held_back_until_it_is_known_to_be_inside() -> None:
    shaper = SegmentShaper(
        Shape(from_hz=RATE, to_hz=RATE, lead_ms=0, pause_ms=10, volume_percent=100)
    )
    sent = list(shaper.feed(chunk(9_000, phoneme("p", 0, 3_200), phoneme("", 3_200, 9_000))))
    assert length(sent) == 3_200
    assert length(list(shaper.finish())) == 100


def test_a_phoneme_without_duration_leaves_no_mark_and_no_gap() -> None:
    pieces = shape(
        chunk(
            2_000, phoneme("p", 0, 1_000), phoneme("t", 1_000, 1_000), phoneme("ɑ", 1_000, 2_000)
        ),
        pause_ms=0,
    )
    assert visemes(pieces) == [(VISEME_PP, 0, 1_000), (VISEME_AA, 1_000, 1_000)]


def test_a_diphthong_is_two_mouths() -> None:
    pieces = shape(chunk(1_000, phoneme("aɪ", 0, 1_000)), pause_ms=0)
    assert visemes(pieces) == [(VISEME_AA, 0, 600), (VISEME_IH, 600, 400)]


@pytest.mark.parametrize("to_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_resampled_marks_still_cover_every_sample(to_hz: int) -> None:
    ends = list(range(137, 20_000, 137))
    sounds = [phoneme("pɑ"[index % 2], end - 137, end) for index, end in enumerate(ends)]
    pieces = shape(*(chunk(137, sound) for sound in sounds), to_hz=to_hz, pause_ms=50)
    position = 0
    for piece in pieces:
        for mark in piece.visemes:
            assert mark.start_sample == position
            position += mark.sample_count
    whole = ends[-1] + RATE * 50 // 1000
    assert position == length(pieces) == round(whole * to_hz / RATE)


def test_marks_come_with_the_audio_in_which_they_begin() -> None:
    sounds = [phoneme("p", start, start + 100) for start in range(0, 10_000, 100)]
    sent = 0
    for piece in shape(chunk(10_000, *sounds)):
        for mark in piece.visemes:
            assert sent <= mark.start_sample < sent + len(piece.samples)
        sent += len(piece.samples)


def test_only_silence_is_an_empty_segment() -> None:
    assert shape(chunk(5_000, phoneme("", 0, 5_000))) == []


@pytest.mark.parametrize("percent", [1, 50, 150, 200])
def test_volume_scales_what_is_quiet_and_never_clips(percent: int) -> None:
    ramp = np.arange(-32_768, 32_768)
    changed = with_volume(ramp.astype(np.int16), percent).astype(int)
    quiet = np.abs(ramp) < 11_000
    assert np.abs(changed[quiet] - ramp[quiet] * percent / 100).max() <= 0.5
    assert np.abs(changed).max() < 32_767 or percent <= 100
    assert (np.diff(changed) >= 0).all()


def test_full_volume_is_untouched() -> None:
    samples = np.array([-32_768, 0, 32_767], np.int16)
    assert with_volume(samples, 100) is samples
