"""Work for several callers: done once, and cancelled with the last of them."""

from __future__ import annotations

import asyncio

import pytest

from services.runtime.process.shared import SharedWork
from services.runtime.process.tasks import Tasks


class Maker:
    """Work that a test ends."""

    def __init__(self) -> None:
        self.started = 0
        self.cancelled = asyncio.Event()
        self.began = asyncio.Event()
        self.go = asyncio.Event()

    async def make(self) -> int:
        self.started += 1
        self.began.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return self.started


async def test_all_who_wait_get_the_work_of_one() -> None:
    work, maker, tasks = SharedWork[str, int]("test"), Maker(), Tasks("test")
    waiting = [tasks.start(work.get("a", maker.make)) for _ in range(5)]
    await maker.began.wait()
    maker.go.set()
    assert [await each for each in waiting] == [1] * 5
    assert len(work) == 0
    assert await work.get("a", maker.make) == 2


async def test_the_work_goes_on_until_the_last_has_gone() -> None:
    work, maker, tasks = SharedWork[str, int]("test"), Maker(), Tasks("test")
    first, second = (tasks.start(work.get("a", maker.make)) for _ in range(2))
    await maker.began.wait()
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    assert not maker.cancelled.is_set()
    second.cancel()
    await maker.cancelled.wait()
    assert len(work) == 0


async def test_who_asks_while_the_work_is_cancelled_gets_another() -> None:
    work, maker, tasks = SharedWork[str, int]("test"), Maker(), Tasks("test")
    first = tasks.start(work.get("a", maker.make))
    await maker.began.wait()
    first.cancel()
    await asyncio.wait([first])
    maker.go.set()
    assert await work.get("a", maker.make) == 2


async def test_all_get_the_error_and_the_next_tries_again() -> None:
    work, tasks = SharedWork[str, int]("test"), Tasks("test", logged=False)

    async def fail() -> int:
        raise ZeroDivisionError

    waiting = [tasks.start(work.get("a", fail)) for _ in range(3)]
    await asyncio.wait(waiting)
    for each in waiting:
        assert isinstance(each.exception(), ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        await work.get("a", fail)
