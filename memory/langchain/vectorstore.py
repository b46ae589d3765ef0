"""A LangChain vector store of the documents of one user or persona."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Self, TypeVar

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from anima.memory import v1 as wire
from memory.langchain.client import MemoryClient

_MAX_PUT: Final = 100
_MAX_IDS: Final = 1_000
_MAX_FOUND: Final = 50
T = TypeVar("T")

DEFAULT_ADDRESS: Final = "127.0.0.1:50053"


class AnimaVectorStore(VectorStore):
    """Texts in the knowledge base of one user or persona, in a memory service.

    The service embeds the texts, searches by vectors and words at once, and isolates users from
    each other. Texts added here are also found in conversations; text added as documents is also
    found here, but cannot be changed or deleted by its id.

    The asynchronous methods run the synchronous ones in threads.
    """

    def __init__(
        self,
        *,
        user_id: str = "",
        persona: str = "",
        address: str = DEFAULT_ADDRESS,
        token: str | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        """Creates a store; it connects on first use.

        Args:
            user_id: The owner of the texts; this or `persona`.
            persona: The persona that shares the texts with everyone who talks to it.
            address: Address of the memory service, "host:port".
            token: The token that the service requires; None for no token.
            timeout_s: The maximum duration of a call, s.

        Raises:
            ValueError: Neither `user_id` nor `persona` is given, or both are.
        """
        if bool(user_id) == bool(persona):
            raise ValueError("user_id or persona must be given, but not both")
        self._owner = wire.KnowledgeOwner(user_id=user_id)
        if persona:
            self._owner.persona = persona
        self._client = MemoryClient(address, token=token, timeout_s=timeout_s)

    def close(self) -> None:
        """Closes the connection; a later call opens it again."""
        self._client.close()

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Adds texts; a text with a known id replaces the old one.

        Args:
            texts: Each at most 8,000 characters.
            metadatas: A JSON-serialisable dict for each text.
            ids: For each text 1 to 64 characters of [A-Za-z0-9_.-], or None.
            kwargs: Must be empty.

        Returns:
            The ids, in the order of the texts.

        Raises:
            ValueError: The number of metadatas or ids differs from that of texts.
            AnimaError: The service rejected them.
        """
        _refuse(kwargs)
        held = list(texts)
        for name, given in (("metadatas", metadatas), ("ids", ids)):
            if given is not None and len(given) != len(held):
                raise ValueError(
                    f"{name}: must be {len(held)}, one for each text, got {len(given)}"
                )
        passages = [
            wire.Passage(
                text=text,
                passage_id=(ids[at] or "") if ids else "",
                metadata_json=json.dumps(metadatas[at]) if metadatas and metadatas[at] else "",
            )
            for at, text in enumerate(held)
        ]
        stored: list[str] = []
        for some in _in_parts(passages, _MAX_PUT):
            request = wire.PutPassagesRequest(owner=self._owner, passages=some)
            stored += self._client.call(self._client.stub.PutPassages, request).passage_ids
        return stored

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Erases texts by their ids; unknown ids have no effect.

        Raises:
            ValueError: No ids are given.
        """
        _refuse(kwargs)
        if ids is None:
            raise ValueError(
                "ids: must be given; to erase all of a user, run `anima memory forget`"
            )
        for some in _in_parts(ids, _MAX_IDS):
            request = wire.RemovePassagesRequest(owner=self._owner, passage_ids=some)
            self._client.call(self._client.stub.RemovePassages, request)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Returns texts in the order of their ids; unknown ids are left out."""
        found: list[Document] = []
        for some in _in_parts(ids, _MAX_IDS):
            left: Sequence[str] = some
            while left:  # an answer has a limited size
                request = wire.GetPassagesRequest(owner=self._owner, passage_ids=left)
                response = self._client.call(self._client.stub.GetPassages, request)
                found += map(document_of, response.passages)
                left = response.omitted_passage_ids
        return found

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Returns the k best matches, best first; k is at most 50."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Returns the k best matches with their scores, 0 to 1, higher is better.

        Raises:
            ValueError: `k` is not 1 to 50, or a filter is given.
        """
        _refuse(kwargs)
        if not 1 <= k <= _MAX_FOUND:
            raise ValueError(f"k: must be 1 to {_MAX_FOUND}, got {k}")
        request = wire.SearchKnowledgeRequest(owner=self._owner, query=query, max_passages=k)
        response = self._client.call(self._client.stub.SearchKnowledge, request)
        return [(document_of(found.passage), found.score) for found in response.passages]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return float  # the score is already a relevance

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Creates a store and adds texts; `kwargs` are those of the constructor.

        Raises:
            ValueError: An embedding is given. Vectors of two models cannot be mixed, so only the
                service embeds, with the model in its setting ANIMA_MEMORY_EMBEDDINGS.
        """
        if embedding is not None:
            raise ValueError(
                "embedding: the memory service embeds; set the model in its setting"
                " ANIMA_MEMORY_EMBEDDINGS"
            )
        store = cls(**kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store


def document_of(passage: wire.Passage) -> Document:
    """Converts a passage to a LangChain document; with its position if it belongs to a document."""
    if passage.metadata_json:
        metadata = json.loads(passage.metadata_json)
    elif passage.HasField("citation"):
        citation = passage.citation
        metadata = {
            "source": citation.source_uri,
            "title": citation.title,
            "heading": citation.heading,
            "page": citation.page,
            "document_id": citation.document_id,
        }
    else:
        metadata = {}
    return Document(page_content=passage.text, metadata=metadata, id=passage.passage_id)


def _refuse(options: dict[str, Any]) -> None:
    # Callers rely on a filter: if it were ignored, hidden documents would be returned.
    if options:
        raise ValueError(f"{', '.join(options)}: the memory has no such option")


def _in_parts(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
