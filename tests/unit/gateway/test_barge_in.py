"""Speech during an answer: the words and the moves, without clocks or streams."""

from __future__ import annotations

import pytest

from gateway.session.turns.barge_in import BargeIn, Move
from gateway.session.turns.utterances import Said, classify
from text.normal import normal


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", Said.NOTHING),
        ("...", Said.NOTHING),
        ("uh-huh", Said.BACKCHANNEL),
        ("Yeah, okay.", Said.BACKCHANNEL),
        ("I see.", Said.BACKCHANNEL),
        ("嗯。", Said.BACKCHANNEL),
        ("好的", Said.BACKCHANNEL),
        ("Stop!", Said.STOP),
        ("shut up", Said.STOP),
        ("停！", Said.STOP),
        ("stop worrying about it", Said.SPEECH),
        ("yes but why", Said.SPEECH),
        ("i see a problem", Said.SPEECH),
        ("为什么", Said.SPEECH),
    ],
)
def test_kinds_of_utterances(text: str, said: Said) -> None:
    assert classify(text) is said


def test_small_word_is_a_cough_only_if_it_is_short() -> None:
    assert classify("the", seconds=0.3) is Said.NOTHING
    assert classify("the", seconds=0.9) is Said.SPEECH
    assert classify("why", seconds=0.3) is Said.SPEECH


def test_normal_texts_sound_alike() -> None:
    assert normal("What's  this?") == normal("whats this")
    assert normal("ＡＢＣ 1") == "abc 1"


def test_cough_and_sign_of_listening_resume() -> None:
    for text in ("", "uh-huh"):
        barge_in = BargeIn()
        assert barge_in.partial("uh") is None
        assert barge_in.over(text, seconds=0.4) is Move.RESUME
        assert barge_in.over(text, seconds=0.4) is None, "a move is given once"


def test_two_words_interrupt_before_the_end() -> None:
    barge_in = BargeIn()
    assert barge_in.partial("what") is None
    assert barge_in.partial("what about") is Move.INTERRUPT
    assert barge_in.over("what about", seconds=1.0) is None
    assert barge_in.expired() is None


def test_resumed_answer_can_still_be_interrupted() -> None:
    barge_in = BargeIn()
    assert barge_in.over("yeah", seconds=0.3) is Move.RESUME
    assert barge_in.over("yeah but why", seconds=1.2) is Move.INTERRUPT


def test_long_hold_ends_by_what_was_understood() -> None:
    noise = BargeIn()
    assert noise.expired() is Move.RESUME
    slow = BargeIn()
    slow.partial("why")
    assert slow.expired() is Move.INTERRUPT


def test_yes_at_the_end_of_an_answer_is_an_answer() -> None:
    assert BargeIn(answerable=True).over("yes", seconds=0.3) is Move.INTERRUPT
    assert BargeIn(answerable=True).over("", seconds=0.3) is Move.RESUME
