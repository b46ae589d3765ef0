"""Conformance suite of memory services that distil facts, over gRPC alone."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, cast

import grpc
import pytest

from anima.memory import v1 as wire
from services.runtime.errors import InvalidRequest, NotFound, error_from_rpc

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub


@pytest.fixture
def memory(memory_channel: grpc.aio.Channel) -> MemoryServiceAsyncStub:
    return cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(memory_channel))


@pytest.fixture
def user() -> str:
    return f"test-{uuid.uuid4().hex}"


async def say(memory: MemoryServiceAsyncStub, user: str, text: str, at_ms: int) -> None:
    item = wire.Item(
        text=text, speaker=wire.SPEAKER_USER, created_unix_ms=at_ms, item_id=f"t{at_ms}"
    )
    await memory.Remember(wire.RememberRequest(user_id=user, items=[item]))


async def facts(memory: MemoryServiceAsyncStub, user: str) -> list[wire.Item]:
    request = wire.ListRequest(user_id=user, kinds=[wire.ITEM_KIND_FACT])
    return list((await memory.List(request)).items)


async def facts_when(
    memory: MemoryServiceAsyncStub, user: str, condition: Callable[[list[wire.Item]], bool]
) -> list[wire.Item]:
    """Waits until the facts, which appear after the response, meet a condition."""
    async with asyncio.timeout(90):
        while not condition(found := await facts(memory, user)):
            pass  # each call lets the background work run
    return found


async def test_a_fact_is_distilled_updated_and_told_first(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    await say(memory, user, "Hi, I live in Graz and it is nice.", 1_000)
    await facts_when(memory, user, lambda found: len(found) == 1)
    await say(memory, user, "Actually I moved to Vienna.", 2_000)
    new, old = await facts_when(memory, user, lambda found: len(found) == 2)
    assert (new.fact.attribute, new.fact.value, new.fact.valid_to_unix_ms) == ("home", "Vienna", 0)
    assert list(new.fact.source_item_ids) == ["t2000"]
    assert (old.fact.value, old.fact.valid_to_unix_ms) == ("Graz", 2_000)
    assert old.fact.superseded_by == new.item_id
    query = "Where do I live?"
    response = await memory.Recall(wire.RecallRequest(user_id=user, query=query))
    assert response.items[0].item.text == "I live in Vienna."
    assert "I live in Graz." not in [found.item.text for found in response.items]
    past = wire.RecallRequest(
        user_id=user, query=query, kinds=[wire.ITEM_KIND_FACT], include_past=True
    )
    told = {found.item.text for found in (await memory.Recall(past)).items}
    assert told == {"I live in Graz.", "I live in Vienna."}


async def test_a_fact_is_pinned_and_corrected(memory: MemoryServiceAsyncStub, user: str) -> None:
    await say(memory, user, "My dog is called Rex", 1_000)
    (wrong,) = await facts_when(memory, user, lambda found: len(found) == 1)
    pin = wire.PinRequest(user_id=user, item_ids=[wrong.item_id, "t1000"], pinned=True)
    assert (await memory.Pin(pin)).pinned_count == 1
    assert (await facts(memory, user))[0].fact.pinned
    correct = wire.CorrectRequest(user_id=user, item_id=wrong.item_id, value="Max")
    right = (await memory.Correct(correct)).item
    assert (right.text, right.fact.value, right.fact.confidence) == (
        "My dog is called Max.",
        "Max",
        1,
    )
    recall = wire.RecallRequest(user_id=user, query="What is my dog called?")
    assert (await memory.Recall(recall)).items[0].item == right
    only_wrong = wire.CorrectRequest(user_id=user, item_id=right.item_id)
    assert not (await memory.Correct(only_wrong)).HasField("item")
    assert all(item.fact.valid_to_unix_ms for item in await facts(memory, user))


async def test_an_erased_source_takes_its_fact_along(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    await say(memory, user, "I am allergic to peanuts", 1_000)
    await facts_when(memory, user, lambda found: len(found) == 1)
    await memory.Forget(wire.ForgetRequest(user_id=user, items=wire.ItemIds(item_ids=["t1000"])))
    assert await facts(memory, user) == []


async def test_an_export_is_imported_as_it_was(memory: MemoryServiceAsyncStub, user: str) -> None:
    await say(memory, user, "I live in Graz", 1_000)
    await say(memory, user, "I live in Vienna", 2_000)
    await facts_when(memory, user, lambda found: len(found) == 2)
    exported = [r.item async for r in memory.Export(wire.ExportRequest(user_id=user))]
    other = f"{user}-other"

    async def requests() -> AsyncIterator[wire.ImportRequest]:
        yield wire.ImportRequest(user_id=other)
        for item in exported:
            yield wire.ImportRequest(items=[item])

    for stored in (len(exported), 0):
        response = await memory.Import(requests())
        assert (response.received_count, response.stored_count) == (len(exported), stored)
    again = [r.item async for r in memory.Export(wire.ExportRequest(user_id=other))]
    assert again == exported


async def test_bad_requests_name_their_fault(memory: MemoryServiceAsyncStub, user: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await memory.Correct(wire.CorrectRequest(user_id=user, item_id="nothing", value="x"))
    assert isinstance(error_from_rpc(raised.value), NotFound)
    fact = wire.Item(text="x", fact=wire.Fact(value="x"))
    items = [fact]
    for call, named in (
        (
            lambda: memory.Remember(wire.RememberRequest(user_id=user, items=items)),
            "items[0].fact",
        ),
        (lambda: memory.Pin(wire.PinRequest(user_id=user)), "item_ids"),
        (lambda: memory.Correct(wire.CorrectRequest(user_id=user, item_id="a b")), "item_id"),
        (
            lambda: memory.List(wire.ListRequest(user_id=user, kinds=[wire.ITEM_KIND_UNSPECIFIED])),
            "kinds[0]",
        ),
        (lambda: memory.Import(iter([wire.ImportRequest()])), "user_id"),
        (
            lambda: memory.Import(iter([wire.ImportRequest(user_id=user, items=[fact])])),
            "items[0].fact.subject",
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call()
        error = error_from_rpc(raised.value)
        assert isinstance(error, InvalidRequest)
        assert error.message.startswith(named)
