"""Heard text and subtitles: arithmetic on word marks."""

from __future__ import annotations

from itertools import pairwise

import pytest

from anima.common.v1 import common_pb2 as common
from gateway.http.ask import subtitles
from gateway.turn.playout.playback import STUCK_S, Playback, heard_text

RATE = 1000


def marks(text: str, *, ms_per_char: int = 50) -> list[common.WordMark]:
    """Words of a text, spoken evenly; of Chinese text every character."""
    words = text.split() if " " in text else list(text)
    found = []
    place = 0
    for word in words:
        start = text.index(word, place)
        place = start + len(word)
        found.append(
            common.WordMark(
                text=word,
                chars=common.CharSpan(start_char=start, end_char=place),
                samples=common.SampleSpan(
                    start_sample=start * ms_per_char, sample_count=len(word) * ms_per_char
                ),
            )
        )
    return found


@pytest.mark.parametrize(
    ("played", "heard"),
    [
        (0, ""),
        (100, ""),
        (151, "Hello,"),
        (300, "Hello,"),
        (500, "Hello, big"),
        (5000, "Hello, big world."),
    ],
)
def test_heard_text_ends_with_the_last_word_of_which_half_was_played(
    played: int, heard: str
) -> None:
    assert heard_text("Hello, big world.", marks("Hello, big world."), played) == heard


def test_marks_after_a_word_stay_with_it() -> None:
    text = "Yes! No."
    words = marks(text)
    words[0].chars.end_char = 3
    assert heard_text(text, words, 200) == "Yes!"


def test_subtitles_break_at_sentences_and_have_the_text_of_the_answer() -> None:
    text = "Dr. Li is here. He waits, and waits."
    lines = subtitles.cues(text, marks(text), sample_rate_hz=RATE)
    assert [line.text for line in lines] == ["Dr. Li is here.", "He waits, and waits."]
    assert [line.start_ms for line in lines] == [0, 16 * 50]
    assert lines[1].end_ms == len(text) * 50


def test_subtitles_are_short_and_never_overlap() -> None:
    text = " ".join(f"word{number}" for number in range(200))
    lines = subtitles.cues(text, marks(text), sample_rate_hz=RATE)
    assert " ".join(line.text for line in lines) == text
    assert all(len(line.text) <= 84 and line.end_ms - line.start_ms <= 6000 for line in lines)
    for line, following in pairwise(lines):
        assert line.start_ms < line.end_ms <= following.start_ms


def test_chinese_subtitles() -> None:
    text = "你好，我是小安。" + "我会说很多话" * 20
    lines = subtitles.cues(text, marks(text), sample_rate_hz=RATE)
    assert lines[0].text == "你好，我是小安。"
    assert "".join(line.text for line in lines) == text
    assert max(len(line.text) for line in lines) <= 42


def test_files_are_webvtt_and_subrip() -> None:
    lines = subtitles.cues("Hi <b>there</b>.", marks("Hi <b>there</b>."), sample_rate_hz=RATE)
    vtt, srt = subtitles.to_vtt(lines), subtitles.to_srt(lines)
    assert vtt.startswith("WEBVTT\n")
    assert "00:00:00.000 --> 00:00:00.800" in vtt
    assert srt.startswith("1\n00:00:00,000 --> 00:00:00,800\nHi")


def test_a_cue_holds_no_tag_and_no_arrow() -> None:
    text = "<script>1</script> --> {b} \\N & done."
    lines = subtitles.cues(text, marks(text), sample_rate_hz=RATE)
    vtt, srt = subtitles.to_vtt(lines), subtitles.to_srt(lines)
    assert "&lt;script&gt;1&lt;/script&gt; --&gt; {b} \\N &amp; done." in vtt
    assert "<script>1</script> -> {b} \\N & done." in srt
    for file in (vtt, srt):
        assert file.count("-->") == len(lines)


def test_no_words_no_lines() -> None:
    assert subtitles.cues("Hello.", [], sample_rate_hz=RATE) == []
    assert subtitles.to_vtt([]).startswith("WEBVTT")


def test_playback_without_reports_is_the_schedule() -> None:
    assert Playback().position(sent=900, scheduled=700) == 700


def test_playback_goes_on_at_the_pace_of_the_schedule_between_reports() -> None:
    playback = Playback()
    playback.report(500, sent=2_000, scheduled=800, now=1.0)
    assert playback.position(sent=2_000, scheduled=800) == 500
    assert playback.position(sent=2_000, scheduled=1_100) == 800
    assert playback.position(sent=2_000, scheduled=2_000) == 1_700


def test_playback_is_never_further_than_what_was_sent_by_then() -> None:
    playback = Playback()
    playback.report(10**12, sent=1_000, scheduled=700, now=1.0)
    assert playback.position(sent=5_000, scheduled=700) == 1_000
    assert playback.position(sent=5_000, scheduled=900) == 1_200
    assert playback.position(sent=5_000, scheduled=5_000) == 5_000


def test_playback_takes_nothing_back() -> None:
    playback = Playback()
    playback.report(900, sent=2_000, scheduled=1_000, now=1.0)
    playback.report(300, sent=2_000, scheduled=1_100, now=1.1)
    assert playback.position(sent=2_000, scheduled=1_100) == 1_000


def test_playback_that_is_reported_again_and_again_without_moving_has_stopped() -> None:
    playback = Playback()
    playback.report(900, sent=9_000, scheduled=1_000, now=1.0)
    playback.report(900, sent=9_000, scheduled=1_400, now=1.0 + STUCK_S / 2)
    assert playback.position(sent=9_000, scheduled=1_400) == 1_300
    playback.report(900, sent=9_000, scheduled=2_000, now=1.1 + STUCK_S)
    assert playback.stuck
    assert playback.position(sent=9_000, scheduled=5_000) == 900
    playback.report(950, sent=9_000, scheduled=5_000, now=5.0)
    assert playback.position(sent=9_000, scheduled=5_100) == 1_050
