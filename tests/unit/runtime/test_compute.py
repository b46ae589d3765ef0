"""Compute in threads: bounded buffers, errors, and threads that are never left blocked."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator

import pytest

from services.runtime.process.compute import Compute

WAIT_S = 10
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture
def compute() -> Iterator[Compute]:
    own = Compute(threads=1, name="test")
    yield own
    own.close()


async def until_set(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, WAIT_S)


async def test_run_works_in_a_named_thread_with_the_context_of_the_caller(compute: Compute) -> None:
    variable.set("mine")
    name, value = await compute.run(lambda: (threading.current_thread().name, variable.get()))
    assert name.startswith("test")
    assert value == "mine"


async def test_run_leaves_the_loop_free_and_raises_what_the_function_raises(
    compute: Compute,
) -> None:
    go = threading.Event()
    running = asyncio.create_task(compute.run(go.wait, WAIT_S))
    await asyncio.sleep(0)  # the loop goes on while the thread waits
    assert not running.done()
    go.set()
    assert await running

    def fail() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        await compute.run(fail)


async def test_stream_yields_in_order(compute: Compute) -> None:
    def produce(emit: Callable[[int], bool]) -> None:
        for number in range(1000):
            assert emit(number)

    items = [item async for item in compute.stream(produce, max_buffered=3)]
    assert items == list(range(1000))


async def test_producer_waits_for_a_slow_reader(compute: Compute) -> None:
    emitted: list[int] = []
    full = threading.Event()

    def produce(emit: Callable[[int], bool]) -> None:
        for number in range(100):
            emitted.append(number)
            if number == 4:
                full.set()
            emit(number)

    stream = compute.stream(produce, max_buffered=3)
    assert await anext(stream) == 0
    await until_set(full)
    # one was read, three wait in the buffer, and the fifth is blocked in emit
    assert emitted == [0, 1, 2, 3, 4]
    assert [item async for item in stream] == list(range(1, 100))


async def test_error_comes_after_the_items_before_it(compute: Compute) -> None:
    def produce(emit: Callable[[str], bool]) -> None:
        emit("one")
        raise ValueError("wrong")

    items: list[str] = []

    async def read() -> None:
        async for item in compute.stream(produce):
            items.append(item)  # noqa: PERF401 - what came before the error is the point

    with pytest.raises(ValueError, match="wrong"):
        await read()
    assert items == ["one"]


async def test_closing_the_stream_frees_a_blocked_thread(compute: Compute) -> None:
    blocked, ended = threading.Event(), threading.Event()
    stream = compute.stream(producer_until_refused(blocked, ended), max_buffered=1)
    assert await anext(stream) == 0
    await until_set(blocked)
    await stream.aclose()
    await until_set(ended)
    assert await compute.run(lambda: "the only thread is free") == "the only thread is free"


async def test_cancelling_the_reader_frees_a_blocked_thread(compute: Compute) -> None:
    blocked, ended = threading.Event(), threading.Event()
    got_one = asyncio.Event()

    async def read() -> None:
        async for _ in compute.stream(producer_until_refused(blocked, ended), max_buffered=1):
            got_one.set()
            await asyncio.Event().wait()

    reading = asyncio.create_task(read())
    await got_one.wait()
    await until_set(blocked)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await until_set(ended)


async def test_producer_that_never_got_a_thread_does_not_run(compute: Compute) -> None:
    go = threading.Event()
    ran = threading.Event()
    occupying = asyncio.create_task(compute.run(go.wait, WAIT_S))
    await asyncio.sleep(0)

    def produce(emit: Callable[[int], bool]) -> None:
        ran.set()

    stream = compute.stream(produce)
    reading = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    go.set()
    await occupying
    await compute.run(lambda: None)
    assert not ran.is_set()


async def test_several_threads_may_emit_into_one_stream(compute: Compute) -> None:
    ended = [threading.Event() for _ in range(3)]

    def produce(emit: Callable[[int], bool]) -> None:
        def push(own: threading.Event) -> None:
            while emit(1):
                pass
            own.set()

        threads = [threading.Thread(target=push, args=(own,)) for own in ended]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    stream = compute.stream(produce, max_buffered=1)
    assert await anext(stream) == 1
    await stream.aclose()
    for own in ended:
        await until_set(own)


def producer_until_refused(
    blocked: threading.Event, ended: threading.Event
) -> Callable[[Callable[[int], bool]], None]:
    """Returns a producer that counts until refused; `blocked` is set before it has to wait."""

    def produce(emit: Callable[[int], bool]) -> None:
        number = 0
        while True:
            if number == 2:
                blocked.set()
            if not emit(number):
                break
            number += 1
        ended.set()

    return produce
