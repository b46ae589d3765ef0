"""LangChain's own tests of vector stores and retrievers, against a memory service on loopback."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import (
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)

from memory.langchain import AnimaRetriever, AnimaVectorStore


def nobody() -> str:
    """Returns a user of whom nothing is stored."""
    return uuid.uuid4().hex


@contextmanager
def closed(store: AnimaVectorStore) -> Iterator[AnimaVectorStore]:
    yield store
    store.close()


class TestOfAUser(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, own_encoder: str) -> Iterator[VectorStore]:
        with closed(AnimaVectorStore(user_id=nobody(), address=own_encoder)) as store:
            yield store


class TestOfAPersona(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, own_encoder: str) -> Iterator[VectorStore]:
        with closed(AnimaVectorStore(persona=nobody(), address=own_encoder)) as store:
            yield store


class TestWithEmbeddingsOfLangChain(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, langchain: str) -> Iterator[VectorStore]:
        with closed(AnimaVectorStore(user_id=nobody(), address=langchain)) as store:
            yield store


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _service(self, own_encoder: str) -> None:
        self._address = own_encoder
        self._user_id = nobody()
        with closed(AnimaVectorStore(user_id=self._user_id, address=own_encoder)) as store:
            store.add_texts([f"The tram number {number} stops at the zoo." for number in range(5)])

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return AnimaRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, object]:
        return {"user_id": self._user_id, "address": self._address}

    @property
    def retriever_query_example(self) -> str:
        return "Which tram stops at the zoo?"
