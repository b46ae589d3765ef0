"""The soak's definition of growth."""

from __future__ import annotations

import itertools

import pytest

from bench.talkers.watching import Usage

MIB = 1 << 20
# Memory of answers in progress goes up and down.
UNDER_WAY = [0, 8, 3, 6]


@pytest.mark.parametrize(("leak_bytes", "grown"), [(0, False), (MIB // 20, True)])
def test_leak_is_told_from_what_comes_and_goes(leak_bytes: int, grown: bool) -> None:
    usage = Usage()
    held = itertools.cycle(UNDER_WAY)
    for number in range(200):
        warm = min(number, 40) * MIB
        usage.resident_bytes.append(100 * MIB + warm + next(held) * MIB + number * leak_bytes)
    assert (usage.growth(50) > 0.01) == grown
