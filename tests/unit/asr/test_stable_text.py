"""Partial results: what is published does not flicker."""

from __future__ import annotations

import pytest

from services.asr.decoding.stable_text import StableText


@pytest.mark.parametrize(
    ("results", "published"),
    [
        (["Go.", "Go forward.", "Go forward ten."], ["", "Go", "Go forward"]),
        (["Go for it.", "Go forward ten.", "Go forward ten meters."], ["", "Go", "Go forward ten"]),
        (["what is", "What is the,", "What is the time?"], ["", "What is", "What is the"]),
        (["go on", "go on", ""], ["", "go", "go"]),
        (
            ["I see a", "I see a cat", "Icy cat sat", "Icy cat sat on"],
            ["", "I see a"] + ["I see a"] * 2,
        ),
        (["一只猫", "一只猫坐", "一只猫坐在"], ["", "一只猫", "一只猫坐"]),
        (["打开 VPN", "打开 VPN 吧"], ["", "打开 VPN"]),
        (["Mr. Smith is.", "Mr. Smith is here."], ["", "Mr. Smith is"]),
        (["", "", "a"], ["", "", ""]),
    ],
)
def test_words_are_published_once_two_results_agree(
    results: list[str], published: list[str]
) -> None:
    stable = StableText()
    assert [stable.take(result) for result in results] == published
