"""Embeddings for the memory service under test."""

from __future__ import annotations

from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings


def six() -> Embeddings:
    return DeterministicFakeEmbedding(size=6)


def eight() -> Embeddings:
    return DeterministicFakeEmbedding(size=8)


class Fickle(Embeddings):
    """Returns longer vectors after the first one."""

    def __init__(self) -> None:
        self._asked = 0

    def embed_query(self, text: str) -> list[float]:
        self._asked += 1
        return [1.0] * (3 if self._asked == 1 else 4)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


nothing = None


def broken() -> Embeddings:
    raise RuntimeError("no key")
