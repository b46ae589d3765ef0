"""Tasks have an owner, and their failures reach it."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from services.runtime.process.tasks import Tasks, beside, cancelled, first_of


class BrokenError(Exception):
    pass


async def _fail() -> None:
    raise BrokenError("helper")


async def test_helper_that_fails_ends_the_block() -> None:
    with pytest.raises(BrokenError, match="helper"):
        async with beside(_fail(), name="t"):
            await asyncio.Event().wait()


async def test_helper_is_cancelled_and_awaited_at_the_end_of_the_block() -> None:
    ended = asyncio.Event()

    async def helper() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    async with beside(helper(), name="t"):
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_helper_may_end_before_the_block() -> None:
    done = asyncio.Event()

    async def helper() -> None:
        done.set()

    async with beside(helper(), name="t"):
        await done.wait()
        await asyncio.sleep(0)


async def test_failure_of_the_block_is_raised_as_it_is() -> None:
    with pytest.raises(BrokenError, match="block"):
        async with beside(asyncio.Event().wait(), name="t"):  # type: ignore[arg-type]
            raise BrokenError("block")


async def test_cancellation_of_the_block_is_cancellation() -> None:
    async def block() -> None:
        async with beside(asyncio.Event().wait(), name="t"):  # type: ignore[arg-type]
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(block())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_return_from_the_block_works() -> None:
    async def block() -> int:
        async with beside(asyncio.Event().wait(), name="t"):  # type: ignore[arg-type]
            return 7

    assert await block() == 7


async def test_owner_is_told_of_a_failure() -> None:
    failures: list[BaseException] = []
    tasks = Tasks("owner", on_failure=failures.append)
    tasks.start(_fail())
    await tasks.wait(timeout_s=5)
    assert [str(failure) for failure in failures] == ["helper"]
    assert len(tasks) == 0


async def test_close_cancels_what_runs() -> None:
    tasks = Tasks("owner")
    task = tasks.start(asyncio.Event().wait())
    await tasks.close()
    assert task.cancelled()
    assert len(tasks) == 0


async def test_cancelled_does_not_raise_what_a_task_raises_on_its_way_out() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise BrokenError("on the way out")

    task = asyncio.get_running_loop().create_task(stubborn())
    await asyncio.sleep(0)
    await cancelled([task])
    assert isinstance(task.exception(), BrokenError)


async def _returns(value: str) -> str:
    return value


async def test_first_of_returns_what_the_first_returned_and_cancels_the_rest() -> None:
    ended = asyncio.Event()

    async def rest() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "rest"

    assert await first_of(rest(), _returns("first"), name="t") == "first"
    assert ended.is_set()


async def test_first_of_several_at_once_is_the_one_named_first() -> None:
    assert await first_of(_returns("one"), _returns("two"), name="t") == "one"


async def test_first_of_raises_what_the_first_raised() -> None:
    with pytest.raises(BrokenError, match="helper"):
        await first_of(asyncio.Event().wait(), _fail(), name="t")


async def test_first_of_that_is_cancelled_cancels_all() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    task = asyncio.create_task(first_of(work(), work(), name="t"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(ended) == 2


async def test_failure_that_the_owner_raises_is_not_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures: list[BaseException] = []
    tasks = Tasks("t", on_failure=failures.append, logged=False)
    await asyncio.wait([tasks.start(_fail())])
    await asyncio.sleep(0)
    assert len(failures) == 1
    assert capsys.readouterr().out == ""


async def test_a_failure_at_the_moment_of_a_cancel_is_no_error_of_asyncio() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    released = asyncio.Event()

    async def failing() -> None:
        await released.wait()
        raise ZeroDivisionError

    waiting = asyncio.create_task(first_of(failing(), asyncio.Event().wait()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    released.set()
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    del waiting
    gc.collect()
    assert reported == []
