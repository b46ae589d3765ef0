"""Answers of memory services stay below the limit of a message, however long their content is."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, cast

import grpc
import pytest

from anima.memory import v1 as wire
from tests.documents import added

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

MAX_BYTES = 2 * 1024 * 1024
LONG = "\N{SLIGHTLY SMILING FACE}" * 7_950
"""32 KB: 100 of these fit into one message only just, 500 do not."""
COUNT = 90


@pytest.fixture
def memory(memory_channel: grpc.aio.Channel) -> MemoryServiceAsyncStub:
    return cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(memory_channel))


@pytest.fixture
def user() -> str:
    return f"test-{uuid.uuid4().hex}"


async def remember(memory: MemoryServiceAsyncStub, user: str, count: int) -> list[str]:
    ids: list[str] = []
    for start in range(0, count, 30):
        items = [
            wire.Item(
                text=f"The museum in street number {at} has a garden. {LONG}",
                speaker=wire.SPEAKER_USER,
            )
            for at in range(start, min(start + 30, count))
        ]
        request = wire.RememberRequest(user_id=user, items=items)
        ids += (await memory.Remember(request)).item_ids
    return ids


async def put(memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner, count: int) -> list[str]:
    ids: list[str] = []
    for start in range(0, count, 30):
        passages = [
            wire.Passage(text=f"House number {at} has a garden. {LONG}")
            for at in range(start, min(start + 30, count))
        ]
        request = wire.PutPassagesRequest(owner=owner, passages=passages)
        ids += (await memory.PutPassages(request)).passage_ids
    return ids


async def test_a_list_of_long_items_comes_in_more_pages(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    ids = await remember(memory, user, COUNT)
    listed: list[str] = []
    request = wire.ListRequest(user_id=user, page_size=500, kinds=[wire.ITEM_KIND_TURN])
    pages = 0
    while True:
        page = await memory.List(request)
        assert page.ByteSize() < MAX_BYTES
        assert page.total_count == COUNT
        listed += [item.item_id for item in page.items]
        pages += 1
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert sorted(listed) == sorted(ids)
    assert 1 < pages < COUNT


async def test_a_recall_fills_its_answer_with_the_best_items(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    await remember(memory, user, COUNT)
    request = wire.RecallRequest(
        user_id=user,
        query="Which museum in which street has a garden?",
        max_items=50,
        max_passages=50,
    )
    response = await memory.Recall(request)
    assert response.items
    assert response.omitted_count > 0
    assert response.ByteSize() < MAX_BYTES
    scores = [one.score for one in response.items]
    assert scores == sorted(scores, reverse=True)


async def test_a_search_and_passages_by_id_fill_their_answers(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    owner = wire.KnowledgeOwner(user_id=user)
    ids = await put(memory, owner, COUNT)
    found = await memory.SearchKnowledge(
        wire.SearchKnowledgeRequest(owner=owner, query="house number", max_passages=50)
    )
    assert len(found.passages) + found.omitted_count == 50
    assert found.omitted_count
    assert found.ByteSize() < MAX_BYTES
    left, given = ids, list[str]()
    while left:
        response = await memory.GetPassages(wire.GetPassagesRequest(owner=owner, passage_ids=left))
        assert response.passages
        assert response.ByteSize() < MAX_BYTES
        given += [one.passage_id for one in response.passages]
        left = list(response.omitted_passage_ids)
    assert given == ids


async def test_a_document_with_a_word_without_end_hides_nothing(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    owner = wire.KnowledgeOwner(user_id=user)
    text = b"The opening hours of the museum are " + b"a" * 600_000
    result, _ = await added(memory, owner, "a.txt", text)
    query = "What are the opening hours of the museum?"
    recall = wire.RecallRequest(user_id=user, query=query, max_passages=50)
    response = await memory.Recall(recall)
    assert response.passages
    assert response.ByteSize() < MAX_BYTES
    assert all(len(one.passage.text) <= 8_000 for one in response.passages)
    first, numbers = 1, list[int]()
    while first:
        document = await memory.GetDocument(
            wire.GetDocumentRequest(
                owner=owner,
                document_id=result.document.document_id,
                first_passage=first,
                max_passages=500,
            )
        )
        assert document.ByteSize() < MAX_BYTES
        numbers += [one.citation.number for one in document.passages]
        first = document.next_passage or (
            len(numbers) + 1 if len(numbers) < result.document.passage_count else 0
        )
    assert numbers == list(range(1, result.document.passage_count + 1))
