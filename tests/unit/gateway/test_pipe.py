"""Pipes are ordered, bounded, and lose nothing when a side is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from gateway.pipe import Pipe


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_items_come_in_order() -> None:
    pipe: Pipe[int] = Pipe(4)
    for item in range(4):
        await pipe.put(item)
    assert [await pipe.get() for _ in range(4)] == [0, 1, 2, 3]


async def test_reader_waits_for_an_item() -> None:
    pipe: Pipe[int] = Pipe(1)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(pipe.get())
        await _settle()
        assert not reading.done()
        await pipe.put(7)
    assert reading.result() == 7


async def test_writers_wait_for_room_and_keep_their_order() -> None:
    pipe: Pipe[int] = Pipe(1)
    async with asyncio.TaskGroup() as group:
        writing = [group.create_task(pipe.put(item)) for item in range(3)]
        await _settle()
        assert [task.done() for task in writing] == [True, False, False]
        assert [await pipe.get() for _ in range(3)] == [0, 1, 2]


async def test_cancelled_reader_loses_no_item() -> None:
    pipe: Pipe[int] = Pipe(2)
    reading = asyncio.get_running_loop().create_task(pipe.get())
    await _settle()
    pipe.put_now(1)
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert await pipe.get() == 1


@pytest.mark.parametrize("woken", [False, True])
async def test_cancelled_writer_does_not_take_the_room_of_the_next(woken: bool) -> None:
    pipe: Pipe[int] = Pipe(1)
    await pipe.put(0)
    loop = asyncio.get_running_loop()
    first, second = loop.create_task(pipe.put(1)), loop.create_task(pipe.put(2))
    await _settle()
    if woken:
        assert pipe.get_now() == 0
    first.cancel()
    await asyncio.wait([first])
    if not woken:
        assert pipe.get_now() == 0
    assert await pipe.get() == 2
    assert second.done()


async def test_clear_drops_items_and_lets_writers_go_on() -> None:
    pipe: Pipe[int] = Pipe(2)
    await pipe.put(0)
    await pipe.put(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(pipe.put(2))
        await _settle()
        assert pipe.clear() == 2
    assert len(pipe) == 1
