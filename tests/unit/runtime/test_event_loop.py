"""The event loop of servers: the same clock as everywhere, and as fine."""

from __future__ import annotations

import asyncio
import time

import pytest

from services.runtime.process import event_loop


def test_servers_run_on_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert isinstance(event_loop.run(loop()), uvloop.Loop)


def test_its_clock_goes_on_while_a_callback_runs() -> None:
    async def times() -> list[float]:
        clock = asyncio.get_running_loop().time
        return [time.monotonic(), clock(), *(clock() for _ in range(100)), time.monotonic()]

    taken = event_loop.run(times())
    assert taken == sorted(taken)
    assert len(set(taken)) > 3  # milliseconds would give one or two


def test_a_timer_is_set_by_that_clock() -> None:
    async def fired_after_s() -> float:
        loop = asyncio.get_running_loop()
        fired: asyncio.Future[None] = loop.create_future()
        asked_at = loop.time()
        loop.call_at(asked_at + 0.02, fired.set_result, None)
        await fired
        return loop.time() - asked_at

    # uvloop rounds to milliseconds
    assert event_loop.run(fired_after_s()) >= 0.019
