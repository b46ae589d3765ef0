"""The length of the pause that ends an utterance, by its words."""

from __future__ import annotations

import pytest

from gateway.listening.end_of_turn.words import (
    COMPLETE_MS,
    DOUBTED_MS,
    UNFINISHED_MS,
    UNSURE_MS,
    Pause,
    TextAndPause,
)


@pytest.mark.parametrize(
    "text",
    [
        "what can you do",
        "how does your memory work",
        "can i interrupt you",
        "Is this the right place?",
        "where do you come from?",
        "Who are they?",
        "That is great!",
        "thank you",
        "Thank you.",
        "What can you do.",
        "hello",
        "你会说哪些语言吗",
        "你是谁？",
    ],
)
def test_whole_questions_end_soon(text: str) -> None:
    assert TextAndPause().judge(Pause(text=text)) == COMPLETE_MS


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
        "What is the?",
        "What is the.",
        "Tell me a story about.",
        "I would like coffee and.",
        "我想问一下关于你的",
        "我想问一下关于你的。",
        "因为",
        "苹果、",
    ],
)
def test_unfinished_speech_is_waited_for(text: str) -> None:
    assert TextAndPause().judge(Pause(text=text)) == UNFINISHED_MS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tell me a story",
        "Tell me a story.",
        "I would like a coffee.",
        "where are you from",
        "the weather in london",
        "我今天很累",
        "それが目的",
    ],
)
def test_what_is_neither_waits_as_long_as_a_pause_alone(text: str) -> None:
    assert TextAndPause().judge(Pause(text=text)) == UNSURE_MS


@pytest.mark.parametrize(
    ("confidence", "last_confidence", "silence_ms"),
    [
        (0.9, 0.9, UNFINISHED_MS),
        (None, None, UNFINISHED_MS),
        (0.4, 0.9, DOUBTED_MS),
        (0.8, 0.1, DOUBTED_MS),
    ],
)
def test_words_that_were_rather_guessed_are_not_waited_for_as_long(
    confidence: float | None, last_confidence: float | None, silence_ms: int
) -> None:
    pause = Pause(
        text="what languages do the", confidence=confidence, last_confidence=last_confidence
    )
    assert TextAndPause().judge(pause) == silence_ms


def test_doubt_does_not_make_a_whole_question_wait() -> None:
    pause = Pause(text="what can you do", confidence=0.1, last_confidence=0.1)
    assert TextAndPause().judge(pause) == COMPLETE_MS


def test_who_was_cut_off_is_waited_for_longer() -> None:
    rule = TextAndPause()
    whole = Pause(text="what can you do")
    assert rule.judge(whole) == COMPLETE_MS
    rule.went_on()
    assert rule.judge(whole) == COMPLETE_MS + 100
    for _ in range(10):
        rule.went_on()
    assert rule.judge(whole) == UNSURE_MS
    assert rule.judge(Pause(text="tell me a story")) <= UNFINISHED_MS
