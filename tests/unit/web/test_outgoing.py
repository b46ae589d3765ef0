"""The queue to a client is bounded, ordered, and cleared of stale media."""

import asyncio

import pytest

from gateway.realtime.outgoing import ClientTooSlowError, Message, Outgoing
from services.runtime.limits.bucket import TokenBucket


async def read_all(outgoing: Outgoing) -> list[str | bytes]:
    outgoing.finish()
    return [message.data async for message in outgoing.read()]


async def test_messages_come_in_order() -> None:
    outgoing = Outgoing(max_bytes=100, max_messages=10)
    for data in ("a", b"b", "c"):
        outgoing.put(Message(data))

    assert await read_all(outgoing) == ["a", b"b", "c"]


async def test_reader_waits_for_what_comes_later() -> None:
    outgoing = Outgoing(max_bytes=100, max_messages=10)

    async def read_one() -> str | bytes:
        return (await anext(aiter(outgoing.read()))).data

    reading = asyncio.create_task(read_one())
    await asyncio.sleep(0)

    outgoing.put(Message("late"))

    assert await reading == "late"


async def test_too_many_bytes_are_refused_and_nothing_grows() -> None:
    outgoing = Outgoing(max_bytes=100, max_messages=1_000)
    for _ in range(10):
        outgoing.put(Message(bytes(10)))

    with pytest.raises(ClientTooSlowError, match="10 messages of 100 bytes"):
        outgoing.put(Message(b"x"))

    assert len(await read_all(outgoing)) == 10


async def test_too_many_messages_are_refused() -> None:
    outgoing = Outgoing(max_bytes=1_000, max_messages=2)
    outgoing.put(Message(""))
    outgoing.put(Message(""))

    with pytest.raises(ClientTooSlowError):
        outgoing.put(Message(""))


async def test_room_comes_back_when_messages_are_read() -> None:
    outgoing = Outgoing(max_bytes=10, max_messages=10)
    outgoing.put(Message(bytes(10)))
    await anext(aiter(outgoing.read()))

    outgoing.put(Message(bytes(10)))

    assert await read_all(outgoing) == [bytes(10)]


async def test_media_of_older_epochs_is_dropped_and_frees_its_room() -> None:
    outgoing = Outgoing(max_bytes=30, max_messages=10)
    outgoing.put(Message(bytes(20), epoch=1))
    outgoing.put(Message("event"))
    outgoing.put(Message(b"new", epoch=2))

    outgoing.drop_before(2)
    outgoing.put(Message(bytes(20), epoch=2))

    assert await read_all(outgoing) == ["event", b"new", bytes(20)]


def test_allowance_gives_a_burst_and_then_a_rate() -> None:
    now = 0.0
    allowance = TokenBucket(per_second=2.0, burst=3, now=lambda: now)

    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
    now = 0.5
    assert [allowance.take() for _ in range(2)] == [True, False]
    now = 100.0
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
