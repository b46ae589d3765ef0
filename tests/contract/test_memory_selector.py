"""Conformance suite of memory services with a selector, over gRPC alone."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

import grpc
import pytest
import pytest_asyncio

from anima.memory import v1 as wire

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

HANDBOOK = b"# Handbook\n\nOn holidays: an employee has thirty days of holiday in a year."


@pytest.fixture
def memory(memory_channel: grpc.aio.Channel) -> MemoryServiceAsyncStub:
    return cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(memory_channel))


@pytest_asyncio.fixture(loop_scope="module")
async def user(memory: MemoryServiceAsyncStub) -> str:
    """A user who talked about holidays and has a document on them."""
    user = f"test-{uuid.uuid4().hex}"
    said = wire.Item(text="The handbook and my holidays bore my dog", speaker=wire.SPEAKER_USER)
    await memory.Remember(wire.RememberRequest(user_id=user, items=[said]))

    async def document() -> AsyncIterator[wire.AddDocumentRequest]:
        owner = wire.KnowledgeOwner(user_id=user)
        config = wire.DocumentConfig(owner=owner, file_name="handbook.md")
        yield wire.AddDocumentRequest(config=config)
        yield wire.AddDocumentRequest(content=HANDBOOK)

    async for _ in memory.AddDocument(document()):
        pass
    return user


async def asked(
    memory: MemoryServiceAsyncStub, user: str, query: str, max_passages: int = 3
) -> wire.RecallResponse:
    request = wire.RecallRequest(user_id=user, query=query, max_passages=max_passages)
    return await memory.Recall(request)


async def test_a_personal_question_skips_documents(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    answer = await asked(memory, user, "Do you remember what I told you about my dog yesterday?")
    assert answer.need == wire.NEED_PERSONAL
    assert answer.items
    assert not answer.passages


async def test_a_question_on_documents_skips_what_was_said(
    memory: MemoryServiceAsyncStub, user: str
) -> None:
    query = "According to the handbook, what are the rules for holidays?"
    answer = await asked(memory, user, query)
    assert answer.need == wire.NEED_KNOWLEDGE
    assert answer.passages
    assert not answer.items
    # A client that requests no passages still gets an answer.
    assert (await asked(memory, user, query, max_passages=0)).items


async def test_unsure_is_both(memory: MemoryServiceAsyncStub, user: str) -> None:
    answer = await asked(memory, user, "Does the handbook say that I get holidays for my dog?")
    assert answer.need == wire.NEED_BOTH
    assert answer.items
    assert answer.passages
    assert 0 <= answer.need_probability <= 1


async def test_small_talk_needs_nothing(memory: MemoryServiceAsyncStub, user: str) -> None:
    answer = await asked(memory, user, "Thank you!")
    assert (answer.need, answer.need_probability, answer.skipped) == (wire.NEED_NONE, 1, True)
    assert not answer.items
    assert not answer.passages
