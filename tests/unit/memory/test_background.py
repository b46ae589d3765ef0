"""Background work continues after a failure, and ends on request."""

from __future__ import annotations

import asyncio

from memory.service.background import Periodic
from testing.virtual_time import in_virtual_time


def test_a_failure_waits_for_the_next_time_and_nothing_is_done_after_the_end() -> None:
    async def main() -> list[float]:
        done_s: list[float] = []

        async def work() -> None:
            done_s.append(asyncio.get_running_loop().time())
            if len(done_s) == 1:
                raise OSError("the disk is full")

        job = Periodic(work, every_s=60.0, first_s=5.0, on_failure="not done")
        job.start()
        await asyncio.sleep(130.0)
        await job.stop()
        await asyncio.sleep(100.0)
        return done_s

    assert in_virtual_time(main) == [5.0, 65.0, 125.0]


def test_the_end_comes_in_the_middle_of_the_work_too() -> None:
    async def main() -> float:
        job = Periodic(lambda: asyncio.sleep(1_000.0), every_s=1.0, on_failure="not done")
        await job.stop()  # it has not begun
        job.start()
        await asyncio.sleep(1.0)
        await job.stop()
        return asyncio.get_running_loop().time()

    assert in_virtual_time(main) == 1.0
