"""The interface of a knowledge base, which an engine of the memory may have.

Requests are checked before they come here. Every method is about one owner and must never see the
documents of another.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

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


class KnowledgeBase(Protocol):
    """Keeps, finds, gives out and erases documents."""

    async def held(self, owner: Owner, source_uri: str, sha256: str, title: str) -> Document | None:
        """Gives the document that came from there, if it is held with this content and title.

        An empty title is any.
        """
        ...

    def add(self, owner: Owner, file: File) -> AsyncIterator[Progress | Added]:
        """Reads, embeds and stores a document; `Added` comes last, after the commit.

        Raises:
            FailedPrecondition: The file cannot be read, or goes beyond a limit.
        """
        ...

    async def documents(
        self, owner: Owner, *, after: DocumentPosition | None, page_size: int
    ) -> DocumentPage:
        """Lists documents by title, from behind a position."""
        ...

    async def document(
        self, owner: Owner, document_id: str, *, first_passage: int, max_passages: int
    ) -> tuple[Document, list[Passage]]:
        """Gives a document and passages of it, from a number on.

        Raises:
            NotFound: There is no such document.
        """
        ...

    async def remove(self, owner: Owner, document_id: str) -> int:
        """Erases a document without a trace; returns how many passages it had.

        Raises:
            NotFound: There is no such document.
        """
        ...

    async def put_passages(self, owner: Owner, passages: Sequence[Passage]) -> None:
        """Stores passages of no document; one with a known id takes the place of the old one.

        Raises:
            InvalidRequest: The id is that of a passage of a document.
        """
        ...

    async def passages(self, owner: Owner, passage_ids: Sequence[str]) -> list[Passage]:
        """Gives passages in the order of the ids; those that are not held are left out."""
        ...

    async def remove_passages(self, owner: Owner, passage_ids: Sequence[str]) -> int:
        """Erases passages of no document without a trace; returns how many there were."""
        ...

    async def search(
        self, owner: Owner, query: str, *, max_passages: int, min_score: float
    ) -> list[FoundPassage]:
        """Finds the passages that fit a query best, best first."""
        ...
