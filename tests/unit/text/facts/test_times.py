from __future__ import annotations

from datetime import date

import pytest

from text.facts.times import dated

SATURDAY = date(2026, 11, 28)
MONDAY = date(2026, 11, 30)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("My exam is next Friday.", "My exam is on 4 December."),
        ("I go tomorrow at 3 pm.", "I go on 29 November at 3 pm."),
        ("I came the day before yesterday.", "I came on 26 November."),
        ("I started two weeks ago.", "I started on 14 November."),
        ("I moved last year.", "I moved in 2025."),
        ("We marry next month.", "We marry in December."),
        ("We marry in two months.", "We marry in January 2027."),
        ("I swam last Monday.", "I swam on 23 November."),
        ("I work on Mondays.", "I work on Mondays."),
        ("My son is two years old.", "My son is two years old."),
        ("我明天去北京。", "我11月29日去北京。"),
        ("我下周五考试。", "我12月4日考试。"),
        ("我两周前开始跑步。", "我11月14日开始跑步。"),
        ("我去年搬家了。", "我2025年搬家了。"),
        ("三个月后我结婚。", "2027年2月我结婚。"),
    ],
)
def test_relative_times_become_dates(said: str, told: str) -> None:
    assert dated(said, said=SATURDAY, today=MONDAY) == told


def test_today_stays_today_until_tomorrow() -> None:
    assert dated("I am tired today", said=MONDAY, today=MONDAY) == "I am tired today"
    assert dated("I am tired today", said=SATURDAY, today=MONDAY) == "I am tired on 28 November"


@pytest.mark.parametrize("text", ["999 years ago", "in 999 months", "999 weeks ago", "999年前"])
def test_far_times_are_dates_too(text: str) -> None:
    assert dated(text, said=SATURDAY, today=MONDAY) != text
