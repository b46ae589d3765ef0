"""Behaviour of the vector store, the retriever and the encoder beyond LangChain's own tests."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding

from anima.memory import v1 as wire
from memory.langchain import AnimaRetriever, AnimaVectorStore
from memory.langchain.encoder import LangChainEncoder
from services.runtime.config.settings import SettingsError
from services.runtime.errors import InternalError, InvalidRequest
from tests.unit.memory_langchain.conftest import EMBEDDINGS, memory_service
from tests.unit.memory_langchain.test_standard import closed, nobody


def test_what_was_added_is_found_by_nobody_else(own_encoder: str) -> None:
    user = nobody()
    with closed(AnimaVectorStore(user_id=user, address=own_encoder)) as store:
        store.add_documents([Document(page_content="The zoo opens at nine.", metadata={"n": 1})])
        ((found, score),) = store.similarity_search_with_score("When does the zoo open?")
        assert (found.page_content, found.metadata) == ("The zoo opens at nine.", {"n": 1})
        assert 0.3 < score <= 1
        ((_, relevance),) = store.similarity_search_with_relevance_scores("zoo", k=1)
        assert 0 <= relevance <= 1
    for owner in ({"user_id": nobody()}, {"persona": user}):
        with closed(AnimaVectorStore(address=own_encoder, **owner)) as other:  # type: ignore[arg-type]
            assert other.similarity_search("zoo") == []


def test_the_retriever_joins_what_was_said_with_what_documents_say(own_encoder: str) -> None:
    user = nobody()
    with grpc.insecure_channel(own_encoder) as channel:
        item = wire.Item(
            text="My favourite animal at the zoo is the otter.", speaker=wire.SPEAKER_USER
        )
        wire.MemoryServiceStub(channel).Remember(wire.RememberRequest(user_id=user, items=[item]))
    with closed(AnimaVectorStore(user_id=user, address=own_encoder)) as store:
        store.add_texts(["The otters of the zoo are fed at three."])
    retriever = AnimaRetriever(user_id=user, address=own_encoder)
    said = retriever.invoke("Which animal at the zoo do I like?")
    assert said[0].metadata["kind"] in ("turn", "fact")
    read = retriever.invoke("When are the otters of the zoo fed?")
    assert ("passage", "The otters of the zoo are fed at three.") in [
        (one.metadata["kind"], one.page_content) for one in read
    ]
    assert retriever.invoke("Hello!") == []
    retriever.close()


def test_what_the_memory_cannot_do_is_refused(own_encoder: str) -> None:
    with closed(AnimaVectorStore(user_id=nobody(), address=own_encoder)) as store:
        with pytest.raises(ValueError, match="filter: the memory has no such option"):
            store.similarity_search("zoo", filter={"n": 1})
        with pytest.raises(ValueError, match="k: must be 1 to 50, got 51"):
            store.similarity_search("zoo", k=51)
        with pytest.raises(ValueError, match="ids: must be given"):
            store.delete()
        with pytest.raises(ValueError, match="metadatas: must be 1, one for each text, got 2"):
            store.add_texts(["a"], [{}, {}])
        with pytest.raises(InvalidRequest, match="passage_id"):
            store.add_texts(["a"], ids=["no good"])
    with pytest.raises(ValueError, match="ANIMA_MEMORY_EMBEDDINGS"):
        AnimaVectorStore.from_texts(["a"], DeterministicFakeEmbedding(size=3), user_id="u")
    with pytest.raises(ValueError, match="user_id or persona"):
        AnimaVectorStore()


def test_other_embeddings_embed_everything_again(tmp_path: Path) -> None:
    text = "The zoo opens at nine."
    with (
        memory_service(tmp_path, embeddings=f"{EMBEDDINGS}:six") as address,
        closed(AnimaVectorStore(user_id="ada", address=address)) as store,
    ):
        store.add_texts([text, "Otters swim."])
        assert vector_score(address, text) == pytest.approx(1, abs=1e-5)
    with memory_service(tmp_path, embeddings=f"{EMBEDDINGS}:eight") as address:
        # It is embedded in the background, and nothing reports when: pytest ends a wait for ever.
        while vector_score(address, text) != pytest.approx(1, abs=1e-5):
            pass


def vector_score(address: str, query: str) -> float:
    with grpc.insecure_channel(address) as channel:
        request = wire.SearchKnowledgeRequest(
            owner=wire.KnowledgeOwner(user_id="ada"), query=query, max_passages=1
        )
        response = wire.MemoryServiceStub(channel).SearchKnowledge(request)
    return float(response.passages[0].vector_score)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no_such_module:x", "cannot be loaded: No module"),
        (f"{EMBEDDINGS}:missing", "cannot be loaded"),
        (f"{EMBEDDINGS}:broken", "no key"),
        (f"{EMBEDDINGS}:nothing", "cannot be loaded"),
        ("builtins:dict", "must be LangChain Embeddings"),
    ],
)
def test_embeddings_that_cannot_be_had_are_said_at_the_start(
    tmp_path: Path, name: str, why: str
) -> None:
    with (
        pytest.raises(SettingsError, match=f"ANIMA_MEMORY_EMBEDDINGS: {name}.*{why}"),
        memory_service(tmp_path, embeddings=name),
    ):
        pass


def test_vectors_of_another_length_are_refused() -> None:
    encoder = LangChainEncoder(f"{EMBEDDINGS}:Fickle")
    assert encoder.dimensions == 3
    with pytest.raises(InternalError, match="vectors of two models cannot be mixed"):
        encoder.embed(["a"])
    with pytest.raises(InternalError, match="vectors of two models cannot be mixed"):
        encoder.embed_query("a")


def test_the_model_id_changes_with_the_model() -> None:
    six, eight = (LangChainEncoder(f"{EMBEDDINGS}:{name}") for name in ("six", "eight"))
    assert six.model_id == f"{EMBEDDINGS}:six/6"
    assert six.model_id != eight.model_id
    assert six.embed([]).shape == (0, 6)
