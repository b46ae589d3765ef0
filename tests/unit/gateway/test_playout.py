"""The playout clock in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from gateway.turn.playout.schedule import Schedule
from testing.virtual_time import in_virtual_time

RATE = 1000


def schedule(*, paced: bool = True) -> Schedule:
    return Schedule(sample_rate_hz=RATE, lead_ms=100, lookahead_ms=2000, paced=paced)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_media_leaves_on_an_absolute_schedule() -> None:
    async def main() -> list[float]:
        clock = schedule()
        left = []
        for number in range(600):
            await clock.until_due(number * 100)
            left.append(now())
            clock.sent((number + 1) * 100)
        return left

    left = in_virtual_time(main)
    assert left == pytest.approx([max(0, number - 1) / 10 for number in range(600)])


def test_lateness_does_not_add_up() -> None:
    async def main() -> list[float]:
        clock = schedule()
        left = []
        for number in range(10):
            if number == 3:
                await asyncio.sleep(0.55)
            await clock.until_due(number * 100)
            left.append(round(now(), 3))
            clock.sent((number + 1) * 100)
        return left

    assert in_virtual_time(main) == [0, 0, 0.1, 0.65, 0.65, 0.65, 0.65, 0.65, 0.7, 0.8]


def test_played_is_the_schedule_and_never_more_than_was_sent() -> None:
    async def main() -> list[int]:
        clock = schedule()
        played = [clock.played_samples()]
        clock.sent(300)
        for _ in range(5):
            await asyncio.sleep(0.1)
            played.append(clock.played_samples())
        return played

    assert in_virtual_time(main) == [0, 100, 200, 300, 300, 300]


def test_room_follows_playback() -> None:
    async def main() -> float:
        clock = schedule()
        await clock.until_room(2000)
        assert now() == 0
        waiting = asyncio.create_task(clock.until_room(2500))
        await asyncio.sleep(7)
        assert not waiting.done(), "nothing has left yet"
        clock.sent(600)
        await waiting
        return now()

    # 500 samples must have been played: 0.5 s after the start at 7 s.
    assert in_virtual_time(main) == pytest.approx(7.5)


def test_room_waits_for_a_client_that_does_not_read() -> None:
    async def main() -> None:
        clock = schedule()
        clock.sent(100)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(clock.until_room(2500), 1000)

    in_virtual_time(main)


def test_as_made_nothing_is_held() -> None:
    async def main() -> None:
        clock = schedule(paced=False)
        await clock.until_room(10**9)
        clock.sent(100)
        await clock.until_due(10**9)
        await clock.until_played()
        assert now() == 0
        assert clock.played_samples() == 100
        assert clock.lateness_s(0) == 0

    in_virtual_time(main)
