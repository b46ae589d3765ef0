"""Removed documents are gone, stored ones complete, and those of other owners invisible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anima.memory import v1 as wire
from memory.knowledge.base import KnowledgeBase
from memory.knowledge.document import Added, Document, File, Owner, Passage
from memory.knowledge.index import LibraryIndexes
from memory.knowledge.library import Library
from memory.knowledge.tables import KnowledgeTables
from memory.service.running import DatabaseRunner
from memory.servicer import MemoryServicer
from memory.settings import MemorySettings
from memory.sqlite.engine import SqliteMemory
from memory.sqlite.store import Store
from services.runtime.process.compute import Compute
from tests.unit.memory.items import MODEL_ID, WordEmbedder

ADA, EVE, PERSONA = Owner(user_id="ada"), Owner(user_id="eve"), Owner(persona="ada")


@asynccontextmanager
async def knowledge(folder: Path) -> AsyncIterator[KnowledgeBase]:
    engine = SqliteMemory(MemorySettings(data_dir=folder, embedding_model="none", facts=False))
    await engine.open()
    try:
        assert engine.knowledge is not None
        yield engine.knowledge
    finally:
        await engine.close()


async def added(library: KnowledgeBase, owner: Owner, text: str, uri: str = "a.txt") -> Added:
    file = File(name="a.txt", source_uri=uri, title="", sha256=text, content=text.encode())
    events = [event async for event in library.add(owner, file)]
    assert isinstance(events[-1], Added)
    return events[-1]


def files_with(folder: Path, text: str) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in paths if text.encode() in path.read_bytes()]


def scrub(folder: Path) -> None:
    with closing(Store(folder / "memory")) as store:
        store.scrub()


async def test_removed_and_replaced_text_is_found_in_no_file(tmp_path: Path) -> None:
    async with knowledge(tmp_path) as library:
        await added(library, ADA, "The first secret is swordfish.")
        await library.put_passages(ADA, [Passage(passage_id="one", text="Loose kingfisher.")])
        assert files_with(tmp_path, "swordfish")
        replaced = await added(library, ADA, "The second secret is barracuda.")
        assert replaced.change == wire.DOCUMENT_CHANGE_REPLACED
    scrub(tmp_path)
    assert files_with(tmp_path, "swordfish") == []
    assert files_with(tmp_path, "barracuda")
    async with knowledge(tmp_path) as library:
        await library.remove(ADA, replaced.document.document_id)
        await library.remove_passages(ADA, ["one"])
    scrub(tmp_path)
    for gone in ("barracuda", "kingfisher"):
        assert files_with(tmp_path, gone) == []


async def test_documents_survive_a_start(tmp_path: Path) -> None:
    async with knowledge(tmp_path) as library:
        document = (await added(library, ADA, "The pool closes at nine.")).document
    async with knowledge(tmp_path) as library:
        (found,) = await library.search(ADA, "pool", max_passages=5, min_score=0)
        assert found.passage.document == document
        again = await added(library, ADA, "The pool closes at nine.")
        assert again.change == wire.DOCUMENT_CHANGE_NONE


Change = tuple[int, str, int]
OWNERS = (ADA, EVE, PERSONA)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeTables]:
    store = Store(tmp_path_factory.mktemp("tables"), synchronous="normal")
    yield KnowledgeTables(store)
    store.close()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["put", "add", "remove"]), st.integers(0, 2)),
        max_size=12,
    )
)
def test_no_order_of_changes_mixes_owners_up(
    tables: KnowledgeTables, changes: list[Change]
) -> None:
    indexes = LibraryIndexes(tables, model_id="", dimensions=None, max_bytes=1)
    held: dict[Owner, dict[str, str]] = {owner: {} for owner in OWNERS}
    for number, (who, what, which) in enumerate(changes):
        owner, text = OWNERS[who], f"word {number} of {OWNERS[who]}"
        loose, uri = f"loose-{which}", f"uri-{which}"
        if what == "put":
            tables.put_passages(owner, [Passage(passage_id=loose, text=text)], [None], "")
            held[owner][loose] = text
        elif what == "add":
            tables.put_document(owner, _document(uri), [_passage(uri, text)], [None], "")
            held[owner][uri] = text
        else:
            tables.remove_passages(owner, [loose])
            document = tables.document(owner, source_uri=uri)
            if document is not None:
                tables.remove_document(owner, document.document_id)
            held[owner].pop(loose, None)
            held[owner].pop(uri, None)
        for each in OWNERS:
            rows = [row.row_id for row in indexes.search(each, "word", None, 50)]
            texts = {one.text for one in tables.passages_by_row(rows).values()}
            assert texts == set(held[each].values())
    for owner in OWNERS:
        tables.remove_passages(owner, [f"loose-{which}" for which in range(3)])
        for document in tables.documents(owner, after=None, limit=10)[0]:
            tables.remove_document(owner, document.document_id)


def _document(uri: str) -> Document:
    return Document(
        document_id=uri,
        title=uri,
        source_uri=uri,
        media_type="text/plain",
        sha256="0",
        size_bytes=1,
        page_count=0,
        passage_count=1,
        added_unix_ms=0,
    )


def _passage(uri: str, text: str) -> Passage:
    return Passage(passage_id=f"{uri}.1", text=text, number=1)


async def test_passage_that_cannot_be_embedded_holds_up_no_other(tmp_path: Path) -> None:
    texts = ["A poisoned passage.", *(f"Passage number {n}." for n in range(40))]
    store = Store(tmp_path, synchronous="normal")
    tables = KnowledgeTables(store)
    for owner in (ADA, EVE):
        passages = [Passage(passage_id=f"p{n}", text=text) for n, text in enumerate(texts)]
        tables.put_passages(owner, passages, [None] * len(passages), "")

    class Encoder(WordEmbedder):
        tokenizer_json = None

        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if "A poisoned passage." in texts:
                raise RuntimeError
            return super().embed(texts)

        def embed_query(self, text: str) -> NDArray[np.float32]:
            return np.asarray(self.embed([text])[0])

    compute = Compute(threads=1, name="test")
    library = Library(
        tables,
        encoder=Encoder(),
        reading=compute,
        writing=compute,
        run=DatabaseRunner("here"),
        max_index_bytes=1 << 20,
    )
    library.start()

    def without_vectors(owner: Owner) -> int:
        state = tables.state(owner)
        assert state is not None
        return sum(row.vector is None for row in tables.index_rows(state, 0, MODEL_ID))

    async with asyncio.timeout(20):
        while [await asyncio.to_thread(without_vectors, one) for one in (ADA, EVE)] != [1, 1]:
            pass
    await library.stop()
    compute.close()
    store.close()


async def test_a_password_in_a_url_of_an_older_version_is_not_shown_and_erased(
    tmp_path: Path,
) -> None:
    old, public = "https://ada:s3cr3t@example.org/a.txt", "https://example.org/a.txt"
    async with knowledge(tmp_path) as library:
        await added(library, ADA, "The pool opens at nine.", old)
        page = await library.documents(ADA, after=None, page_size=5)
        assert [one.source_uri for one in page.documents] == [public]
    with closing(Store(tmp_path / "memory")) as store:
        assert KnowledgeTables(store).strip_user_info() == 1
        assert KnowledgeTables(store).document(ADA, source_uri=public) is not None
        assert KnowledgeTables(store).strip_user_info() == 0
    scrub(tmp_path)
    assert not files_with(tmp_path, "s3cr3t")


async def test_a_password_in_a_url_is_not_stored(tmp_path: Path) -> None:
    async with knowledge(tmp_path) as library:
        servicer = MemoryServicer(cast("Any", SimpleNamespace(knowledge=library)), capacity=1)

        async def requests() -> AsyncIterator[wire.AddDocumentRequest]:
            config = wire.DocumentConfig(
                owner=wire.KnowledgeOwner(user_id="ada"),
                file_name="a.txt",
                source_uri="https://ada:s3cr3t@example.org/a.txt?b=c@d",
            )
            yield wire.AddDocumentRequest(config=config)
            yield wire.AddDocumentRequest(content=b"The pool opens at nine.")

        async for _ in servicer.AddDocument(requests(), cast("Any", None)):
            pass
        page = await library.documents(ADA, after=None, page_size=5)
        assert [one.source_uri for one in page.documents] == ["https://example.org/a.txt?b=c@d"]
    assert not files_with(tmp_path, "s3cr3t")
