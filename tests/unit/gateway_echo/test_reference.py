"""What a client plays, and when."""

from __future__ import annotations

import numpy as np

from gateway.listening.echo.reference import PlayedAudio

RATE = 1_000


def pcm(value: int, count: int) -> bytes:
    return np.full(count, value, np.int16).tobytes()


def at(played: PlayedAudio, from_s: float, count: int) -> list[int]:
    return [int(each) for each in np.frombuffer(played.read(from_s, count), np.int16)]


def test_audio_is_played_when_it_is_sent() -> None:
    played = PlayedAudio(RATE)
    played.play(pcm(1, 3), 10.0)
    assert at(played, 9.998, 8) == [0, 0, 1, 1, 1, 0, 0, 0]
    assert played.until() == 10.003


def test_audio_that_is_sent_ahead_is_played_after_the_audio_before() -> None:
    played = PlayedAudio(RATE)
    played.play(pcm(1, 3), 10.0)
    played.play(pcm(2, 3), 10.0)
    played.play(pcm(3, 2), 10.008)
    assert at(played, 10.0, 12) == [1, 1, 1, 2, 2, 2, 0, 0, 3, 3, 0, 0]


def test_a_pause_moves_what_was_not_played() -> None:
    played = PlayedAudio(RATE)
    played.play(pcm(1, 6), 10.0)
    played.hold(10.002)
    played.hold(10.003)
    played.play(pcm(2, 2), 10.003)
    assert at(played, 10.0, 8) == [1, 1, 0, 0, 0, 0, 0, 0]
    played.go_on(10.005)
    played.go_on(10.006)
    assert at(played, 10.0, 13) == [1, 1, 0, 0, 0, 1, 1, 1, 1, 2, 2, 0, 0]


def test_an_interruption_drops_what_was_not_played() -> None:
    played = PlayedAudio(RATE)
    played.play(pcm(1, 6), 10.0)
    played.stop(10.002)
    played.play(pcm(2, 2), 10.004)
    assert at(played, 10.0, 8) == [1, 1, 0, 0, 2, 2, 0, 0]
    played.hold(10.004)
    played.stop(10.005)
    played.go_on(10.006)
    assert at(played, 10.0, 8) == [1, 1, 0, 0, 0, 0, 0, 0]


def test_only_the_last_seconds_are_kept() -> None:
    played = PlayedAudio(RATE)
    for second in range(60):
        played.play(pcm(second + 1, RATE), float(second))
    assert at(played, 59.0, 2) == [60, 60]
    assert at(played, 57.0, 2) == [58, 58]
    assert at(played, 10.0, 2) == [0, 0]
    played.play(pcm(9, 2), 1000.0)
    assert at(played, 1000.0, 3) == [9, 9, 0]
    assert at(played, 59.0, 2) == [0, 0]
