"""The interface of a knowledge base, which a memory engine may have.

Requests are validated before they arrive here. Every method concerns one owner and must never
access the documents of another.
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
    """Stores, finds, returns and erases documents."""

    async def held(self, owner: Owner, source_uri: str, sha256: str, title: str) -> Document | None:
        """Returns the document from that source if it is stored with this content and title.

        An empty title matches any.
        """
        ...

    def add(self, owner: Owner, file: File) -> AsyncIterator[Progress | Added]:
        """Reads, embeds and stores a document; `Added` is the last event, after the commit.

        Raises:
            FailedPrecondition: The file cannot be read, or exceeds a limit.
        """
        ...

    async def usage(self, owner: Owner) -> tuple[int, int]:
        """Returns how many documents an owner has, and the bytes of their files."""
        ...

    async def documents(
        self, owner: Owner, *, after: DocumentPosition | None, page_size: int
    ) -> DocumentPage:
        """Lists documents by title, starting after a position."""
        ...

    async def document(
        self, owner: Owner, document_id: str, *, first_passage: int, max_passages: int
    ) -> tuple[Document, list[Passage]]:
        """Returns a document and its passages, starting at a number.

        Raises:
            NotFound: There is no such document.
        """
        ...

    async def remove(self, owner: Owner, document_id: str) -> int:
        """Erases a document completely; returns how many passages it had.

        Raises:
            NotFound: There is no such document.
        """
        ...

    async def put_passages(self, owner: Owner, passages: Sequence[Passage]) -> None:
        """Stores passages without a document; a passage with a known id replaces the old one.

        Raises:
            InvalidRequest: The id belongs to a passage of a document.
        """
        ...

    async def passages(self, owner: Owner, passage_ids: Sequence[str]) -> list[Passage]:
        """Returns passages in the order of the ids; passages that do not exist are left out."""
        ...

    async def remove_passages(self, owner: Owner, passage_ids: Sequence[str]) -> int:
        """Erases passages without a document completely; returns how many existed."""
        ...

    async def search(
        self, owner: Owner, query: str, *, max_passages: int, min_score: float
    ) -> list[FoundPassage]:
        """Returns the passages that match a query best, best first."""
        ...
