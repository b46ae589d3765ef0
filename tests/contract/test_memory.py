"""Conformance suite of memory services, over gRPC alone."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from google.protobuf.message import Message

from anima.memory import v1 as wire
from services.runtime.errors import AnimaError, InvalidRequest, error_from_rpc

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub


@pytest.fixture
def memory(memory_channel: grpc.aio.Channel) -> MemoryServiceAsyncStub:
    return cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(memory_channel))


@pytest.fixture
def user() -> str:
    # An external service may already hold other users.
    return f"test-{uuid.uuid4().hex}"


async def remember(
    memory: MemoryServiceAsyncStub, user: str, *texts: str, session_id: str = ""
) -> list[str]:
    items = [
        wire.Item(text=text, speaker=wire.SPEAKER_USER, session_id=session_id) for text in texts
    ]
    response = await memory.Remember(wire.RememberRequest(user_id=user, items=items))
    return list(response.item_ids)


async def recall(memory: MemoryServiceAsyncStub, user: str, query: str) -> list[str]:
    """Recalls turns; facts distilled from them may appear at any later time."""
    turns = [wire.ITEM_KIND_TURN]
    response = await memory.Recall(wire.RecallRequest(user_id=user, query=query, kinds=turns))
    return [recalled.item.text for recalled in response.items]


async def listed(memory: MemoryServiceAsyncStub, user: str) -> list[wire.Item]:
    response = await memory.List(wire.ListRequest(user_id=user, page_size=500))
    return list(response.items)


async def exported(memory: MemoryServiceAsyncStub, user: str) -> list[wire.Item]:
    return [r.item async for r in memory.Export(wire.ExportRequest(user_id=user))]


async def test_items_come_back_as_they_were(memory: MemoryServiceAsyncStub, user: str) -> None:
    sent = wire.Item(
        item_id="a-1_.Z",
        kind=wire.ITEM_KIND_FACT,
        speaker=wire.SPEAKER_ASSISTANT,
        text="  Ünïcode 你好 👩‍🚀\n and 'quotes' \"; DROP TABLE item; --",
        session_id="session-1",
        turn_id="turn-1",
        created_unix_ms=1_700_000_000_123,
    )
    response = await memory.Remember(wire.RememberRequest(user_id=user, items=[sent]))
    assert list(response.item_ids) == ["a-1_.Z"]
    assert await listed(memory, user) == [sent]
    assert await exported(memory, user) == [sent]


async def test_the_service_fills_in_id_kind_and_time(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    ids = await remember(memory, user, "one", "two")
    items = await listed(memory, user)
    assert sorted(item.item_id for item in items) == sorted(ids)
    assert len(set(ids)) == 2
    assert {item.kind for item in items} == {wire.ITEM_KIND_TURN}
    assert all(item.created_unix_ms > 1_700_000_000_000 for item in items)


async def test_a_known_item_id_changes_nothing(memory: MemoryServiceAsyncStub, user: str) -> None:
    for text in ("first", "second"):
        items = [wire.Item(item_id="x", text=text), wire.Item(item_id="x", text="third")]
        response = await memory.Remember(wire.RememberRequest(user_id=user, items=items))
        assert list(response.item_ids) == ["x", "x"]
    assert [item.text for item in await listed(memory, user)] == ["first"]


async def test_the_same_item_id_of_two_users_is_two_items(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    other = f"{user}-other"
    for owner in (user, other):
        items = [wire.Item(item_id="x", text=f"I am {owner}")]
        await memory.Remember(wire.RememberRequest(user_id=owner, items=items))
    await memory.Forget(wire.ForgetRequest(user_id=user, items=wire.ItemIds(item_ids=["x"])))
    assert await listed(memory, user) == []
    assert [item.text for item in await listed(memory, other)] == [f"I am {other}"]


async def test_recall_finds_by_words_best_first(memory: MemoryServiceAsyncStub, user: str) -> None:
    await remember(memory, user, "My dog is called Rex", "I work in Graz", "我的生日是五月三号")
    response = await memory.Recall(
        wire.RecallRequest(
            user_id=user,
            query="What is my dog called again?",
            max_items=2,
            kinds=[wire.ITEM_KIND_TURN],
        )
    )
    assert response.items[0].item.text == "My dog is called Rex"
    assert len(response.items) <= 2
    scores = [recalled.score for recalled in response.items]
    assert scores == sorted(scores, reverse=True)
    for recalled in response.items:
        for score in (recalled.score, recalled.vector_score, recalled.lexical_score):
            assert 0 <= score <= 1
    assert not response.skipped
    assert (await recall(memory, user, "你记得我的生日吗"))[0] == "我的生日是五月三号"


async def test_what_is_stored_is_found_at_once(memory: MemoryServiceAsyncStub, user: str) -> None:
    for number in range(5):
        await remember(memory, user, f"My secret word number {number} is zebra{number}")
        found = await recall(memory, user, f"Do you remember zebra{number}?")
        assert found[0].endswith(f"zebra{number}")


async def test_recall_leaves_out_low_scores_and_a_session(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    await remember(memory, user, "My dog is called Rex", session_id="now")
    await remember(memory, user, "My dog likes bones", session_id="before")
    query, turns = "What is my dog called?", [wire.ITEM_KIND_TURN]
    response = await memory.Recall(
        wire.RecallRequest(user_id=user, query=query, kinds=turns, exclude_session_id="now")
    )
    assert [recalled.item.text for recalled in response.items] == ["My dog likes bones"]
    best = await memory.Recall(wire.RecallRequest(user_id=user, query=query, kinds=turns))
    between = (best.items[0].score + best.items[1].score) / 2
    response = await memory.Recall(
        wire.RecallRequest(user_id=user, query=query, kinds=turns, min_score=between)
    )
    assert [recalled.item.text for recalled in response.items] == ["My dog is called Rex"]


async def test_an_unknown_user_has_nothing(memory: MemoryServiceAsyncStub, user: str) -> None:
    assert await recall(memory, user, "What do you remember?") == []
    page = await memory.List(wire.ListRequest(user_id=user))
    assert (list(page.items), page.next_page_token, page.total_count) == ([], "", 0)
    assert await exported(memory, user) == []
    response = await memory.Forget(wire.ForgetRequest(user_id=user, everything=True))
    assert response.forgotten_count == 0


async def test_small_talk_needs_no_memory(memory: MemoryServiceAsyncStub, user: str) -> None:
    await remember(memory, user, "Hello, my dog is called Rex")
    for query in ("Hello!", "你好"):
        response = await memory.Recall(wire.RecallRequest(user_id=user, query=query))
        assert response.skipped
        assert not response.items


async def test_pages_are_stable_while_items_arrive(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    # Pairs of items share a time, so that pages must also cut between items of the same time.
    first = [
        wire.Item(item_id=f"i{n}", text=f"item {n}", created_unix_ms=1000 + n // 2)
        for n in range(23)
    ]
    await memory.Remember(wire.RememberRequest(user_id=user, items=first))
    seen: list[str] = []
    token = ""
    for page_number in range(20):
        page = await memory.List(wire.ListRequest(user_id=user, page_size=5, page_token=token))
        seen += [item.item_id for item in page.items]
        assert page.total_count == 23 + page_number
        token = page.next_page_token
        if not token:
            break
        await memory.Remember(
            wire.RememberRequest(
                user_id=user, items=[wire.Item(text="newer", created_unix_ms=9_000)]
            )
        )
    assert seen == [f"i{n}" for n in reversed(range(23))]


async def test_export_gives_everything_oldest_first(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    for start in (300, 0, 200, 100):
        items = [
            wire.Item(item_id=f"i{n}", text=f"item {n}", created_unix_ms=1000 + n)
            for n in range(start, start + 100)
        ]
        await memory.Remember(wire.RememberRequest(user_id=user, items=items))
    assert [i.item_id for i in await exported(memory, user)] == [f"i{n}" for n in range(400)]


async def test_forget_erases_items_and_then_everything(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    ids = await remember(memory, user, "The dog Rex barks", "The tea is hot", "Graz is far")
    response = await memory.Forget(
        wire.ForgetRequest(user_id=user, items=wire.ItemIds(item_ids=[ids[0], "unknown"]))
    )
    assert response.forgotten_count == 1
    assert "The dog Rex barks" not in await recall(memory, user, "What is my dog called Rex?")
    assert len(await listed(memory, user)) == 2
    response = await memory.Forget(wire.ForgetRequest(user_id=user, everything=True))
    assert response.forgotten_count == 2
    assert await listed(memory, user) == []
    assert await exported(memory, user) == []
    assert await recall(memory, user, "Where do I live?") == []
    await remember(memory, user, "I live in Vienna now")
    assert await recall(memory, user, "Where do I live?") == ["I live in Vienna now"]


async def test_limits_are_still_good(memory: MemoryServiceAsyncStub) -> None:
    user = uuid.uuid4().hex.ljust(128, "u")
    items = [wire.Item(item_id=f"{n:064}", text="x") for n in range(99)]
    items.append(wire.Item(text="词" * 8_000, item_id="long"))
    response = await memory.Remember(wire.RememberRequest(user_id=user, items=items))
    assert len(response.item_ids) == 100
    found = await memory.Recall(
        wire.RecallRequest(user_id=user, query="词" * 8_000, max_items=50, min_score=1)
    )
    assert all(recalled.score == 1 for recalled in found.items)
    ids = [f"{n}" for n in range(1_000)]
    forgotten = await memory.Forget(
        wire.ForgetRequest(user_id=user, items=wire.ItemIds(item_ids=ids))
    )
    assert forgotten.forgotten_count == 0
    assert len(await listed(memory, user)) == 100
    await memory.Forget(wire.ForgetRequest(user_id=user, everything=True))


async def test_the_engine_says_what_it_is(memory: MemoryServiceAsyncStub) -> None:
    engine = (await memory.DescribeEngine(wire.DescribeEngineRequest())).engine
    assert engine.name
    assert engine.version
    assert engine.licence
    assert engine.capacity >= 1


def items_request(*items: wire.Item, user_id: str = "u") -> wire.RememberRequest:
    return wire.RememberRequest(user_id=user_id, items=items)


def ids_request(ids: Sequence[str]) -> wire.ForgetRequest:
    return wire.ForgetRequest(user_id="u", items=wire.ItemIds(item_ids=ids))


DAY_MS = 86_400_000
GOOD = wire.Item(text="good")
BAD_REQUESTS: list[tuple[str, Message, str]] = [
    ("Remember", items_request(GOOD, user_id=""), "user_id"),
    ("Remember", items_request(GOOD, user_id="   "), "user_id"),
    ("Remember", items_request(GOOD, user_id="u" * 129), "user_id"),
    ("Remember", items_request(GOOD, user_id="a\0b"), "user_id"),
    ("Remember", items_request(), "items"),
    ("Remember", items_request(*[GOOD] * 101), "items"),
    ("Remember", items_request(GOOD, wire.Item(text="")), "items[1].text"),
    ("Remember", items_request(wire.Item(text=" \n")), "items[0].text"),
    ("Remember", items_request(wire.Item(text="x" * 8_001)), "items[0].text"),
    ("Remember", items_request(wire.Item(text="a\0b")), "items[0].text"),
    ("Remember", items_request(wire.Item(text="x", item_id="a b")), "items[0].item_id"),
    ("Remember", items_request(wire.Item(text="x", item_id="é")), "items[0].item_id"),
    ("Remember", items_request(wire.Item(text="x", item_id="i" * 65)), "items[0].item_id"),
    ("Remember", items_request(wire.Item(text="x", session_id="s/1")), "items[0].session_id"),
    ("Remember", items_request(wire.Item(text="x", turn_id="t" * 65)), "items[0].turn_id"),
    ("Remember", items_request(wire.Item(text="x", kind=7)), "items[0].kind"),  # type: ignore[arg-type]
    ("Remember", items_request(wire.Item(text="x", speaker=-1)), "items[0].speaker"),  # type: ignore[arg-type]
    ("Remember", items_request(wire.Item(text="x", created_unix_ms=-1)), "created_unix_ms"),
    ("Remember", items_request(wire.Item(text="x", created_unix_ms=2**62)), "created_unix_ms"),
    ("Remember", wire.RememberRequest(user_id="u", items=[GOOD], age_ms=-1), "age_ms"),
    ("Remember", wire.RememberRequest(user_id="u", items=[GOOD], age_ms=31 * DAY_MS), "age_ms"),
    ("Remember", wire.RememberRequest(user_id="u", items=[GOOD], said_unix_ns=1), "said_unix_ns"),
    ("Remember", wire.RememberRequest(user_id="u", items=[GOOD], said_unix_ns=-1), "said_unix_ns"),
    ("Recall", wire.RecallRequest(user_id="", query="x"), "user_id"),
    ("Recall", wire.RecallRequest(user_id="u"), "query"),
    ("Recall", wire.RecallRequest(user_id="u", query="  "), "query"),
    ("Recall", wire.RecallRequest(user_id="u", query="q" * 8_001), "query"),
    ("Recall", wire.RecallRequest(user_id="u", query="a\0"), "query"),
    ("Recall", wire.RecallRequest(user_id="u", query="x", max_items=51), "max_items"),
    ("Recall", wire.RecallRequest(user_id="u", query="x", min_score=math.nan), "min_score"),
    ("Recall", wire.RecallRequest(user_id="u", query="x", min_score=2), "min_score"),
    ("Recall", wire.RecallRequest(user_id="u", query="x", min_score=-0.1), "min_score"),
    ("Recall", wire.RecallRequest(user_id="u", query="x", min_score=math.inf), "min_score"),
    ("Recall", wire.RecallRequest(user_id="u", query="x", exclude_session_id="é"), "exclude_se"),
    ("List", wire.ListRequest(user_id=""), "user_id"),
    ("List", wire.ListRequest(user_id="u", page_size=501), "page_size"),
    ("List", wire.ListRequest(user_id="u", page_token="nonsense"), "page_token"),
    ("List", wire.ListRequest(user_id="u", page_token="é\0"), "page_token"),
    ("List", wire.ListRequest(user_id="u", page_token="A" * 100_000), "page_token"),
    ("Forget", wire.ForgetRequest(user_id="", everything=True), "user_id"),
    ("Forget", wire.ForgetRequest(user_id="u"), "what"),
    ("Forget", wire.ForgetRequest(user_id="u", everything=False), "everything"),
    ("Forget", ids_request([]), "item_ids"),
    ("Forget", ids_request(["a"] * 1_001), "item_ids"),
    ("Forget", ids_request(["a", "b c"]), "item_ids[1]"),
    ("Export", wire.ExportRequest(user_id=""), "user_id"),
    ("Export", wire.ExportRequest(user_id="u" * 129), "user_id"),
]


async def refusal(memory: MemoryServiceAsyncStub, method: str, request: Message) -> AnimaError:
    try:
        call = getattr(memory, method)(request)
        if method == "Export":
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return error_from_rpc(error)
    pytest.fail(f"{method} took a bad request")


async def test_bad_requests_are_refused_by_the_name_of_the_field(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    await remember(memory, user, "I stay")
    for method, request, field in BAD_REQUESTS:
        error = await refusal(memory, method, request)
        assert isinstance(error, InvalidRequest), f"{method} {field}: {error!r}"
        assert field in error.message, f"{method} {field}: {error.message}"
    assert [item.text for item in await listed(memory, user)] == ["I stay"]


async def test_a_page_token_belongs_to_its_user(memory: MemoryServiceAsyncStub, user: str) -> None:
    await remember(memory, user, "one", "two")
    page = await memory.List(wire.ListRequest(user_id=user, page_size=1))
    assert page.next_page_token
    cut = page.next_page_token[:-2]
    for owner, token in ((f"{user}-other", page.next_page_token), (user, cut)):
        request = wire.ListRequest(user_id=owner, page_token=token)
        assert "page_token" in (await refusal(memory, "List", request)).message


async def test_bytes_that_are_no_message_are_refused(
    memory: MemoryServiceAsyncStub, memory_channel: grpc.aio.Channel, user: str
) -> None:
    call: Any = memory_channel.unary_unary("/anima.memory.v1.MemoryService/Remember")
    # A user_id that is not UTF-8, and a field that ends too early.
    for request in (b"\x0a\x02\xff\xfe", b"\x0a\x50ab"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(request)
        assert caught.value.code() in (
            grpc.StatusCode.INTERNAL,
            grpc.StatusCode.INVALID_ARGUMENT,
        )
    await remember(memory, user, "still here")
    assert [item.text for item in await listed(memory, user)] == ["still here"]


async def test_hidden_characters_are_not_stored(memory: MemoryServiceAsyncStub, user: str) -> None:
    await remember(memory, user, "My hobby is\r\n\u202egnitniap\u202c\x1b.")
    assert [item.text for item in await exported(memory, user) if item.kind == 1] == [
        "My hobby is\ngnitniap."
    ]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await remember(memory, f"{user}\n", "Text.")
    assert isinstance(error_from_rpc(caught.value), InvalidRequest)
