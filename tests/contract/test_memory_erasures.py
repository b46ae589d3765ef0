"""Erasures and what is on its way to a memory service: what was said before does not come back."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, cast

import grpc
import pytest

from anima.memory import v1 as wire

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub


@pytest.fixture
def memory(memory_channel: grpc.aio.Channel) -> MemoryServiceAsyncStub:
    return cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(memory_channel))


@pytest.fixture
def user() -> str:
    return f"test-{uuid.uuid4().hex}"


async def listed(memory: MemoryServiceAsyncStub, user: str) -> list[wire.Item]:
    response = await memory.List(wire.ListRequest(user_id=user, page_size=500))
    return list(response.items)


async def test_what_waited_during_an_erasure_does_not_come_back(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    ids = ("a", "b", "c")
    items = [wire.Item(item_id=item_id, text=f"item {item_id}") for item_id in ids]
    waited = wire.RememberRequest(user_id=user, items=items, age_ms=60_000)
    again = wire.RememberRequest(user_id=user, items=items)
    await memory.Remember(again)
    await memory.Forget(wire.ForgetRequest(user_id=user, items=wire.ItemIds(item_ids=["b", "x"])))
    # The caller received no response to the first request, and sends it again.
    response = await memory.Remember(waited)
    assert list(response.item_ids) == list(ids)
    assert sorted(item.item_id for item in await listed(memory, user)) == ["a", "c"]
    await memory.Forget(wire.ForgetRequest(user_id=user, everything=True))
    response = await memory.Remember(waited)
    assert list(response.item_ids) == list(ids)
    assert await listed(memory, user) == []
    # Turns after the erasure are remembered, and so is an import of an earlier export.
    await memory.Remember(again)
    assert len(await listed(memory, user)) == 3


async def test_clock_in_answers_orders_what_was_said_and_erasures(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    def request(item_id: str, said_unix_ns: int) -> wire.RememberRequest:
        item = wire.Item(item_id=item_id, text=f"item {item_id}")
        return wire.RememberRequest(user_id=user, items=[item], said_unix_ns=said_unix_ns)

    described = await memory.DescribeEngine(wire.DescribeEngineRequest())
    if not described.clock_unix_ns:
        pytest.skip("this memory does not say its clock")
    stored = await memory.Remember(request("a", described.clock_unix_ns))
    forgotten = await memory.Forget(wire.ForgetRequest(user_id=user, everything=True))
    assert described.clock_unix_ns < stored.clock_unix_ns < forgotten.clock_unix_ns
    await memory.Remember(request("b", stored.clock_unix_ns))
    assert await listed(memory, user) == []
    # What was said right after the answer is kept, however long the request takes.
    await memory.Remember(request("c", forgotten.clock_unix_ns))
    assert [item.item_id for item in await listed(memory, user)] == ["c"]


async def test_erasure_of_a_user_does_not_concern_another(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    item = wire.Item(item_id="a", text="item a")
    another = wire.Item(text="hello")
    await memory.Remember(wire.RememberRequest(user_id=f"{user}-other", items=[another]))
    await memory.Forget(wire.ForgetRequest(user_id=f"{user}-other", everything=True))
    await memory.Remember(wire.RememberRequest(user_id=user, items=[item], age_ms=60_000))
    assert [item.item_id for item in await listed(memory, user)] == ["a"]
