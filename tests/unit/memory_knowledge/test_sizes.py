"""Answers have a limited size, also with what an older version stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from anima.memory import v1 as wire
from memory.knowledge.document import Passage
from memory.servicer import MemoryServicer
from memory.settings import MemorySettings
from memory.sqlite.engine import SqliteMemory
from tests.unit.memory_knowledge.test_library import ADA, added

OWNER = wire.KnowledgeOwner(user_id="ada")
CONTEXT = cast("Any", None)
MAX_BYTES = 20_000


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[SqliteMemory]:
    engine = SqliteMemory(MemorySettings(data_dir=tmp_path, embedding_model="none", facts=False))
    await engine.open()
    yield engine
    await engine.close()


async def test_documents_with_long_names_come_in_more_pages(engine: SqliteMemory) -> None:
    servicer = MemoryServicer(engine, capacity=1, max_answer_bytes=MAX_BYTES)
    assert engine.knowledge is not None
    uris = [f"{at}/{'泳' * 1_900}" for at in range(7)]
    for uri in uris:
        await added(engine.knowledge, ADA, "Text.", uri)
    request = wire.ListDocumentsRequest(owner=OWNER)
    listed: list[str] = []
    sizes: list[int] = []
    while not sizes or request.page_token:
        page = await servicer.ListDocuments(request, CONTEXT)
        assert page.ByteSize() < MAX_BYTES + 1_000
        assert page.total_count == len(uris)
        listed += [one.source_uri for one in page.documents]
        sizes.append(len(page.documents))
        request.page_token = page.next_page_token
    assert sizes == [3, 3, 1]
    assert sorted(listed) == sorted(uris)


async def test_a_passage_that_is_larger_than_an_answer_ends_no_list(engine: SqliteMemory) -> None:
    servicer = MemoryServicer(engine, capacity=1, max_answer_bytes=100)
    assert engine.knowledge is not None
    await engine.knowledge.put_passages(
        ADA, [Passage(passage_id=f"p{at}", text="x" * 500) for at in range(3)]
    )
    request = wire.GetPassagesRequest(owner=OWNER, passage_ids=["p0", "p1", "p2"])
    response = await servicer.GetPassages(request, CONTEXT)
    assert [one.passage_id for one in response.passages] == ["p0"]
    assert response.omitted_passage_ids == ["p1", "p2"]


async def test_a_passage_of_megabytes_from_an_older_version_is_cut(engine: SqliteMemory) -> None:
    servicer = MemoryServicer(engine, capacity=1)
    assert engine.knowledge is not None
    result = await added(engine.knowledge, ADA, "The opening hours of the museum are long.")
    with engine.opened.store.transaction() as connection:
        connection.execute("UPDATE passage SET text = text || ?", ("a" * 9_000_000,))
    recall = wire.RecallRequest(
        user_id="ada", query="What are the opening hours of the museum?", max_passages=3
    )
    (found,) = (await servicer.Recall(recall, CONTEXT)).passages
    assert found.passage.text.startswith("The opening hours of the museum are long.aaa")
    assert found.passage.text.endswith("aaa […]")
    assert len(found.passage.text) == 8_000
    response = await servicer.GetDocument(
        wire.GetDocumentRequest(
            owner=OWNER, document_id=result.document.document_id, max_passages=5
        ),
        CONTEXT,
    )
    assert [one.text for one in response.passages] == [found.passage.text]
