"""The knowledge base of an engine with a database: reads, embeds, stores and finds documents."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import PurePath
from typing import Final, ParamSpec, Protocol, TypeVar

from anima.memory import v1 as wire
from memory.knowledge.document import (
    Added,
    Document,
    DocumentPage,
    DocumentPosition,
    File,
    FoundPassage,
    Owner,
    Passage,
    Progress,
)
from memory.knowledge.index import LibraryIndexes
from memory.knowledge.reader import ReadDocument, Reader
from memory.knowledge.rows import LibraryState, PassageRow, Vector
from memory.knowledge.tables import KnowledgeTables
from memory.search.encoder import Encoder
from memory.service.background import Once
from services.runtime.errors import NotFound
from services.runtime.observing.logs import get_logger
from services.runtime.process.clock import unix_ms
from services.runtime.process.compute import Compute

P = ParamSpec("P")
T = TypeVar("T")

_EMBED_BATCH: Final = 16
_MAX_TITLE_CHARS: Final = 200


class Run(Protocol):
    """Runs database work in threads and converts its errors to errors for callers."""

    async def __call__(
        self, compute: Compute, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs a function."""
        ...


class Library:
    """Stores, finds, returns and erases the documents of all owners."""

    def __init__(
        self,
        tables: KnowledgeTables,
        *,
        encoder: Encoder | None,
        reading: Compute,
        writing: Compute,
        run: Run,
        max_index_bytes: int,
    ) -> None:
        """Creates the knowledge base.

        Args:
            tables: The storage.
            encoder: Computes the vectors; None means that passages are found by words only.
            reading: The threads for searches.
            writing: The thread for writes.
            run: Runs work in either.
            max_index_bytes: The memory limit of the search indexes.
        """
        self._tables = tables
        self._encoder = encoder
        self._reading = reading
        self._writing = writing
        # Embedding a long document must not delay searches.
        self._embedding = Compute(threads=1, name="knowledge")
        self._run = run
        self._model_id = "" if encoder is None else encoder.model_id
        self._indexes = LibraryIndexes(
            tables,
            model_id=self._model_id,
            dimensions=None if encoder is None else encoder.dimensions,
            max_bytes=max_index_bytes,
        )
        self._reader = Reader(tokenizer_json=None if encoder is None else encoder.tokenizer_json)
        # Libraries of which only words are searched until all of their passages have a vector.
        self._pending: set[int] = set()
        self._cleaning = Once(self._clean, name="knowledge-cleaning")
        self._re_embedding = Once(self._embed_rest, name="knowledge-re-embedding")

    def start(self) -> None:
        """Starts the background work: cleans up and embeds what an older version stored."""
        self._cleaning.start()
        if self._encoder is not None:
            self._re_embedding.start()

    async def stop(self) -> None:
        """Stops the background work and releases threads and processes."""
        await self._cleaning.stop()
        await self._re_embedding.stop()
        self._embedding.close()
        await asyncio.to_thread(self._reader.close)

    def drop(self, owner: Owner) -> None:
        """Drops everything cached about an owner; the database is unchanged."""
        self._indexes.drop(owner)

    async def held(self, owner: Owner, source_uri: str, sha256: str, title: str) -> Document | None:
        """Returns the document from that source if it is stored with this content and title."""
        held = await self._run(self._reading, self._tables.document, owner, source_uri=source_uri)
        if held is None or held.sha256 != sha256 or title not in ("", held.title):
            return None
        return held

    async def add(self, owner: Owner, file: File) -> AsyncIterator[Progress | Added]:
        """Reads, embeds and stores a document; `Added` is the last event, after the commit."""
        held = await self.held(owner, file.source_uri, file.sha256, file.title)
        if held is not None:
            yield Added(document=held, change=wire.DOCUMENT_CHANGE_NONE)
            return
        yield Progress(phase=wire.DOCUMENT_PHASE_READING)
        read = await self._reader.read(file)
        document = _document(file, read)
        passages = [
            Passage(
                passage_id=f"{document.document_id}.{number}",
                text=one.text,
                heading=one.heading,
                page=one.page,
                number=number,
                document=document,
            )
            for number, one in enumerate(read.passages, 1)
        ]
        vectors: list[Vector | None] = []
        total = len(passages)
        while len(vectors) < total:
            yield Progress(phase=wire.DOCUMENT_PHASE_EMBEDDING, done=len(vectors), total=total)
            some = passages[len(vectors) : len(vectors) + _EMBED_BATCH]
            vectors += await self._embedding.run(self._vectors, some)
        yield Progress(phase=wire.DOCUMENT_PHASE_STORING)
        replaced = await self._run(
            self._writing,
            self._tables.put_document,
            owner,
            document,
            passages,
            vectors,
            self._model_id,
        )
        yield Added(
            document=document,
            change=wire.DOCUMENT_CHANGE_REPLACED if replaced else wire.DOCUMENT_CHANGE_ADDED,
        )

    def _vectors(self, passages: Sequence[Passage]) -> list[Vector | None]:
        if self._encoder is None:
            return [None] * len(passages)
        return list(self._encoder.embed([passage.searched_text for passage in passages]))

    async def usage(self, owner: Owner) -> tuple[int, int]:
        """Returns how many documents an owner has, and the bytes of their files."""
        return await self._run(self._reading, self._tables.usage, owner)

    async def documents(
        self, owner: Owner, *, after: DocumentPosition | None, page_size: int
    ) -> DocumentPage:
        """Lists documents by title, starting after a position."""
        found, count = await self._run(
            self._reading, self._tables.documents, owner, after=after, limit=page_size + 1
        )
        page, more = found[:page_size], len(found) > page_size
        last = (
            DocumentPosition(title=page[-1].title, document_id=page[-1].document_id)
            if more
            else None
        )
        return DocumentPage(documents=page, next_position=last, total_count=count)

    async def document(
        self, owner: Owner, document_id: str, *, first_passage: int, max_passages: int
    ) -> tuple[Document, list[Passage]]:
        """Returns a document and its passages, starting at a number."""
        document = await self._run(
            self._reading, self._tables.document, owner, document_id=document_id
        )
        if document is None:
            raise _no_document(document_id)
        if not max_passages:
            return document, []
        passages = await self._run(
            self._reading,
            self._tables.document_passages,
            owner,
            document_id,
            first=first_passage,
            limit=max_passages,
        )
        return document, passages

    async def remove(self, owner: Owner, document_id: str) -> int:
        """Erases a document completely; returns how many passages it had."""
        try:
            count = await self._run(self._writing, self._tables.remove_document, owner, document_id)
        finally:
            self._indexes.drop(owner)
        if count is None:
            raise _no_document(document_id)
        return count

    async def put_passages(self, owner: Owner, passages: Sequence[Passage]) -> None:
        """Stores passages without a document; a passage with a known id replaces the old one."""
        vectors = await self._embedding.run(self._vectors, passages)
        await self._run(
            self._writing, self._tables.put_passages, owner, passages, vectors, self._model_id
        )

    async def passages(self, owner: Owner, passage_ids: Sequence[str]) -> list[Passage]:
        """Returns passages in the order of the ids; passages that do not exist are left out."""
        held = await self._run(self._reading, self._tables.passages, owner, passage_ids)
        return [held[passage_id] for passage_id in passage_ids if passage_id in held]

    async def remove_passages(self, owner: Owner, passage_ids: Sequence[str]) -> int:
        """Erases passages without a document completely; returns how many existed."""
        try:
            return await self._run(self._writing, self._tables.remove_passages, owner, passage_ids)
        finally:
            self._indexes.drop(owner)

    async def search(
        self, owner: Owner, query: str, *, max_passages: int, min_score: float
    ) -> list[FoundPassage]:
        """Returns the passages that match a query best, best first."""
        found = await self._run(self._reading, self._search, owner, query, max_passages)
        return [one for one in found if one.score >= min_score]

    def _search(self, owner: Owner, query: str, k: int) -> list[FoundPassage]:
        state = self._tables.state(owner)
        if state is None:
            return []
        encoder = None if state.row_id in self._pending else self._encoder
        vector = None if encoder is None else encoder.embed_query(query)
        found = self._indexes.search(owner, query, vector, k)
        # The text is read from the database, so a passage that was just erased is never returned.
        passages = self._tables.passages_by_row([row.row_id for row in found])
        return [
            FoundPassage(
                passage=passages[row.row_id],
                score=row.score,
                vector_score=row.vector_score,
                lexical_score=row.lexical_score,
            )
            for row in found
            if row.row_id in passages
        ]

    async def _clean(self) -> None:
        try:
            count = await self._writing.run(self._tables.strip_user_info)
            if count:
                get_logger().info("passwords in the URLs of documents erased", documents=count)
        except Exception as error:  # they are never shown; the next start retries
            get_logger().error("passwords in URLs could not be erased", exc_info=error)

    async def _embed_rest(self) -> None:
        try:
            libraries = await self._embedding.run(
                self._tables.libraries_without_vectors, self._model_id
            )
            self._pending = {library.row_id for library in libraries}
            for library in libraries:
                found = await self._embedding.run(
                    self._tables.index_rows, library, 0, self._model_id
                )
                rest = [row for row in found if row.vector is None]
                for start in range(0, len(rest), _EMBED_BATCH):
                    await self._embed_again(library, rest[start : start + _EMBED_BATCH])
                await self._writing.run(self._tables.raise_revision, library)
                self._pending.discard(library.row_id)
                get_logger().info("passages embedded again", passages=len(rest))
        except Exception as error:  # searches use words until then; the next start retries
            get_logger().error("embedding of earlier passages stopped", exc_info=error)

    async def _embed_again(self, library: LibraryState, rows: Sequence[PassageRow]) -> None:
        try:
            vectors = await self._embedding.run(self._embed, [row.searched_text for row in rows])
        except Exception as error:
            if len(rows) == 1:  # it can still be found by its words
                get_logger().error("a passage cannot be embedded", error=type(error).__name__)
                return
            for row in rows:  # finds the one that fails
                await self._embed_again(library, [row])
            return
        pairs = [(row.row_id, one) for row, one in zip(rows, vectors, strict=True)]
        await self._writing.run(self._tables.put_vectors, library, pairs, self._model_id)

    def _embed(self, texts: Sequence[str]) -> list[Vector]:
        assert self._encoder is not None  # noqa: S101 - the task exists only with an encoder
        return list(self._encoder.embed(texts))


def _document(file: File, read: ReadDocument) -> Document:
    return Document(
        document_id=uuid.uuid4().hex,
        title=(file.title or read.title or PurePath(file.name).stem)[:_MAX_TITLE_CHARS],
        source_uri=file.source_uri,
        media_type=read.media_type,
        sha256=file.sha256,
        size_bytes=len(file.content),
        page_count=read.page_count,
        passage_count=len(read.passages),
        added_unix_ms=unix_ms(),
    )


def _no_document(document_id: str) -> NotFound:
    return NotFound(f"document_id: there is no document {document_id}")
