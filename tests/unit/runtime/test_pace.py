"""A pace: what is above it waits, and nothing is refused."""

from __future__ import annotations

import pytest

from services.runtime.limits.pace import Pace


def test_a_burst_is_free_and_the_rest_has_its_pace() -> None:
    now_s = 0.0
    pace = Pace(per_second=10, burst=30, now=lambda: now_s)
    assert [pace.wait_s(10) for _ in range(3)] == [0, 0, 0]
    assert pace.wait_s(10) == 1
    assert pace.wait_s(5) == 1.5
    now_s = 1.5
    assert pace.wait_s(1) == pytest.approx(0.1)
    now_s = 1_000.0
    assert [pace.wait_s(30), pace.wait_s(1)] == [0, pytest.approx(0.1)]


def test_who_waits_as_told_has_the_rate() -> None:
    now_s = used = 0.0
    pace = Pace(per_second=100, burst=200, now=lambda: now_s)
    while now_s < 60:
        used += 7
        now_s += pace.wait_s(7)
    assert used / now_s == pytest.approx(100, rel=0.1)
