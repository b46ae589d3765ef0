"""What an answer says is told from what a person says."""

from __future__ import annotations

import pytest

from gateway.session.turns.barge_in import BargeIn, Move
from gateway.session.turns.own_words import repeats

SPOKEN = "I am a mesh of five services. One hears, one writes the answer, one speaks it,"
CHINESE = "我是由五个服务组成的。一个负责听，一个写出回答，"


@pytest.mark.parametrize(
    ("said", "spoken"),
    [
        ("One writes the answer", SPOKEN),
        ("one writes the answers one speaks", SPOKEN),
        ("a mesh of five service", SPOKEN),
        ("speaks", SPOKEN),
        ("一个写出回答", CHINESE),
        ("一个鞋出回答", CHINESE),
    ],
)
def test_echo_is_recognised(said: str, spoken: str) -> None:
    assert repeats(said, spoken)


@pytest.mark.parametrize(
    ("said", "spoken"),
    [
        ("", SPOKEN),
        ("stop", SPOKEN),
        ("what can you do", SPOKEN),
        ("which one writes", SPOKEN),
        ("the five answer", SPOKEN),
        ("who made you and the answer", SPOKEN),
        ("你会做什么", CHINESE),
        ("one", ""),
    ],
)
def test_other_words_are_not(said: str, spoken: str) -> None:
    assert not repeats(said, spoken)


def test_echo_does_not_interrupt() -> None:
    barge_in = BargeIn(is_echo=lambda text: repeats(text, SPOKEN))
    assert barge_in.partial("one writes the") is None
    assert barge_in.over("one writes the answer", seconds=1.2) is Move.RESUME


def test_stop_is_obeyed_whoever_says_it() -> None:
    barge_in = BargeIn(is_echo=lambda text: True)
    assert barge_in.over("stop", seconds=0.5) is Move.INTERRUPT
