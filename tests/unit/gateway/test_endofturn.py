"""How long a pause ends an utterance, by its words."""

from __future__ import annotations

import pytest

from gateway.endofturn import COMPLETE_MS, UNFINISHED_MS, UNSURE_MS, TextAndPause


@pytest.mark.parametrize(
    "text",
    [
        "what can you do",
        "how does your memory work",
        "can i interrupt you",
        "Is this the right place?",
        "where do you come from?",
        "I would like a coffee.",
        "thank you",
        "hello",
        "你会说哪些语言吗",
        "你是谁？",
    ],
)
def test_whole_questions_end_soon(text: str) -> None:
    assert TextAndPause().silence_ms(text) == COMPLETE_MS


@pytest.mark.parametrize(
    "text",
    [
        "i wanted to ask you about",
        "what is the",
        "and then i",
        "tell me the story of",
        "what can you do and",
        "well um",
        "for example,",
        "so I thought...",
        "我想问一下关于你的",
        "因为",
        "苹果、",
    ],
)
def test_unfinished_speech_is_waited_for(text: str) -> None:
    assert TextAndPause().silence_ms(text) == UNFINISHED_MS


@pytest.mark.parametrize(
    "text", ["", "tell me a story", "where are you from", "the weather in london", "我今天很累"]
)
def test_what_is_neither_waits_as_long_as_a_pause_alone(text: str) -> None:
    assert TextAndPause().silence_ms(text) == UNSURE_MS


def test_who_was_cut_off_is_waited_for_longer() -> None:
    rule = TextAndPause()
    rule.went_on(5.0)
    assert rule.silence_ms("what can you do") == COMPLETE_MS
    rule.went_on(0.4)
    assert rule.silence_ms("what can you do") == COMPLETE_MS + 100
    for _ in range(10):
        rule.went_on(0.4)
    assert rule.silence_ms("what can you do") == UNSURE_MS
    assert rule.silence_ms("tell me a story") <= UNFINISHED_MS
