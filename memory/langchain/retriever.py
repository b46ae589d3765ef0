"""A LangChain retriever for one user's memory."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import Field, PrivateAttr

from anima.memory import v1 as wire
from memory.langchain.client import MemoryClient
from memory.langchain.vectorstore import DEFAULT_ADDRESS, document_of

_KINDS = {
    wire.ITEM_KIND_TURN: "turn",
    wire.ITEM_KIND_FACT: "fact",
    wire.ITEM_KIND_SUMMARY: "summary",
}
_SPEAKERS = {wire.SPEAKER_USER: "user", wire.SPEAKER_ASSISTANT: "assistant"}


class AnimaRetriever(BaseRetriever):
    """Recalls what was said, what is known about the person, and passages of documents.

    It returns nothing if the memory decides that the question needs none. The metadata of each
    document contains its `kind` ("turn", "fact", "summary" or "passage") and `score`, 0 to 1.
    """

    user_id: str = Field(min_length=1, max_length=128)
    """The user whose memory is searched."""
    persona: str = ""
    """A persona whose shared documents are also searched; empty for none."""
    k: int = Field(default=5, ge=1, le=50)
    """The maximum number of documents."""
    with_documents: bool = True
    """Whether passages of documents are also searched."""
    min_score: float = Field(default=0.0, ge=0, le=1)
    """Results with a lower score are left out."""
    address: str = DEFAULT_ADDRESS
    """Address of the memory service, "host:port"."""
    token: str | None = Field(default=None, repr=False, exclude=True)
    """The token that the service requires; None for no token."""
    timeout_s: float = Field(default=10.0, gt=0)
    """The maximum duration of a call, s."""
    _client: MemoryClient = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Creates the client; it connects on first use."""
        self._client = MemoryClient(self.address, token=self.token, timeout_s=self.timeout_s)

    def close(self) -> None:
        """Closes the connection; a later call opens it again."""
        self._client.close()

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        most = self.k if k is None else k
        request = wire.RecallRequest(
            user_id=self.user_id,
            query=query,
            max_items=most,
            min_score=self.min_score,
            persona=self.persona,
            max_passages=most if self.with_documents else 0,
        )
        response = self._client.call(self._client.stub.Recall, request)
        found = [(one.score, _document(one)) for one in response.items]
        for one in response.passages:
            document = document_of(one.passage)
            document.metadata |= {"kind": "passage", "score": one.score}
            found.append((one.score, document))
        best = sorted(found, key=lambda pair: -pair[0])[:most]
        return [document for _, document in best]


def _document(recalled: wire.RecalledItem) -> Document:
    item = recalled.item
    metadata = {
        "kind": _KINDS.get(item.kind, ""),
        "score": recalled.score,
        "speaker": _SPEAKERS.get(item.speaker, ""),
        "session_id": item.session_id,
        "created_unix_ms": item.created_unix_ms,
    }
    return Document(page_content=item.text, metadata=metadata, id=item.item_id)
