"""A turn that waits in the gateway does not bring back a user who was erased in the memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from anima.memory.v1 import memory_pb2 as memory
from anima.memory.v1 import memory_pb2_grpc
from gateway.remember_queue.memory_clock import MemoryClock
from gateway.remember_queue.queue import RememberQueue
from memory.servicer import build
from memory.settings import MemorySettings
from services.runtime.calls.channels import open_channel
from services.runtime.errors import Unavailable
from services.runtime.server import serving
from testing.fakes.direct import rpc_error

ADA = "ada"
EVERYTHING = memory.ForgetRequest(user_id=ADA, everything=True)


def turn(number: int) -> memory.RememberRequest:
    items = [memory.Item(item_id=f"turn-{number}", text=f"What was said in turn {number}")]
    return memory.RememberRequest(user_id=ADA, items=items)


class Gateway:
    """A queue and the memory that it delivers to."""

    def __init__(self, stub: Any, folder: Path) -> None:
        self.stub = stub
        self._folder = folder
        self.clock = MemoryClock(self._ask)
        self.queue = self.new_queue(stub.Remember)

    def new_queue(self, send: Any) -> RememberQueue:
        """Returns a queue that has taken over what an earlier one left."""
        queue = RememberQueue(send, max_turns=100, max_bytes=1 << 20, clock=self.clock)
        queue.start(self._folder, None)
        return queue

    async def stored(self) -> list[str]:
        listed = await self.stub.List(memory.ListRequest(user_id=ADA))
        return sorted(item.item_id for item in listed.items)

    async def _ask(self) -> int:
        described = await self.stub.DescribeEngine(memory.DescribeEngineRequest())
        return int(described.clock_unix_ns)


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[Gateway]:
    settings = MemorySettings(
        listen="127.0.0.1:0", data_dir=folder, embedding_model="none", facts=False
    )
    async with serving(build(settings), settings) as server:
        await server.ready
        async with open_channel(server.address) as channel:
            stub = cast(Any, memory_pb2_grpc.MemoryServiceStub(channel))
            yield Gateway(stub, folder / "gateway")


async def test_user_who_was_erased_does_not_come_back_from_the_queue(tmp_path: Path) -> None:
    async with gateway(tmp_path) as ours:
        erase_next = True

        async def send(request: memory.RememberRequest, *, timeout: float) -> Any:  # noqa: ASYNC109
            nonlocal erase_next
            answer = await ours.stub.Remember(request, timeout=timeout)
            if request.items[0].item_id == "turn-1" and erase_next:
                # The memory stores the turn, its answer is lost, and then the user is erased.
                erase_next = False
                await ours.stub.Forget(EVERYTHING)
                raise rpc_error(Unavailable("the answer is lost"))
            return answer

        queue = ours.new_queue(send)
        for number in (0, 1, 2):
            queue.add(turn(number))
        await queue.close(timeout_s=30)
        assert not erase_next
        assert await ours.stored() == []

        forgotten = await ours.stub.Forget(EVERYTHING)
        ours.clock.answered(forgotten.clock_unix_ns)
        ours.queue.add(turn(3))
        await ours.queue.close(timeout_s=30)
        assert await ours.stored() == ["turn-3"]


@pytest.mark.parametrize("clock_is_known", [False, True])
async def test_a_turn_that_arrives_right_after_the_erasure_is_dropped(
    tmp_path: Path, clock_is_known: bool
) -> None:
    """However short the time is: the request has left before the user is erased."""
    async with gateway(tmp_path) as ours:
        if clock_is_known:
            await ours.clock.refresh()
        on_its_way, erased = asyncio.Event(), asyncio.Event()

        async def send(request: memory.RememberRequest, *, timeout: float) -> Any:  # noqa: ASYNC109
            on_its_way.set()
            await erased.wait()
            return await ours.stub.Remember(request, timeout=timeout)

        queue = ours.new_queue(send)
        queue.add(turn(0))
        await on_its_way.wait()
        forgotten = await ours.stub.Forget(EVERYTHING)
        erased.set()
        await queue.close(timeout_s=30)
        assert await ours.stored() == []

        # The gateway itself has had the user erased, and the person speaks on.
        ours.clock.answered(forgotten.clock_unix_ns)
        ours.queue.add(turn(1))
        await ours.queue.close(timeout_s=30)
        assert await ours.stored() == ["turn-1"]


async def test_an_answer_that_is_still_spoken_while_the_person_erases(tmp_path: Path) -> None:
    async with gateway(tmp_path) as ours:
        asked_ns = time.monotonic_ns()
        forgotten = await ours.stub.Forget(EVERYTHING)
        ours.clock.answered(forgotten.clock_unix_ns)
        await ours.queue.forget(ADA)
        ours.queue.add(turn(0), said_ns=asked_ns)
        ours.queue.add(turn(1))
        await ours.queue.close(timeout_s=30)
        assert await ours.stored() == ["turn-1"]


async def test_a_turn_of_a_gateway_that_died_is_dropped_too(tmp_path: Path) -> None:
    async with gateway(tmp_path) as ours:
        tried = asyncio.Event()

        async def away(request: memory.RememberRequest, *, timeout: float) -> Any:  # noqa: ASYNC109
            tried.set()
            raise rpc_error(Unavailable("is away"))

        queue = ours.new_queue(away)
        queue.add(turn(0))
        await tried.wait()
        await queue.close(timeout_s=0)
        await ours.stub.Forget(EVERYTHING)
        await ours.queue.close(timeout_s=30)
        await ours.new_queue(ours.stub.Remember).close(timeout_s=30)
        assert await ours.stored() == []
