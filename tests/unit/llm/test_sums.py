from __future__ import annotations

import pytest

from services.llm.engines.retrieval.dialogue.sums import DividedByZeroError, result_of


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("What is 2 plus 3?", "5"),
        ("-5 + 3?", "-2"),
        ("what is five plus seven", "12"),
        ("What is 10 - 2 * 3?", "4"),
        ("How much is 9 divided by 2?", "4.5"),
        ("10/3", "3.3333"),
        ("20% of 50?", "10"),
        ("12乘以12是多少？", "144"),
        ("三加五等于几", "8"),
    ],
)
def test_small_sums_are_computed(text: str, result: str) -> None:
    assert result_of(text) == result


@pytest.mark.parametrize(
    "text",
    ["What is 2026-03-09?", "What is the time?", "3", "I have 3 dogs and 2 cats", "我有3只狗"],
)
def test_what_is_no_sum(text: str) -> None:
    assert result_of(text) is None


def test_nothing_is_divided_by_zero() -> None:
    with pytest.raises(DividedByZeroError):
        result_of("What is 5 divided by 0?")
