from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from memory.search.re_embedding import Pending, ReEmbedding
from memory.sqlite.store import Store
from services.runtime.process.compute import Compute
from tests.unit.memory.items import MODEL_ID, WordEmbedder, make_item

BATCHES = 3
COUNT = 64 * (BATCHES - 1) + 1


class Other(WordEmbedder):
    """Another encoder; notes what is true whenever it computes."""

    model_id = "other"
    tokenizer_json = None

    def __init__(self, store: Store, pending: Pending) -> None:
        self._store = store
        self._pending = pending
        self.seen: list[tuple[str, int, set[str]]] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        user = texts[0].split()[0]
        state = self._store.user_state(user)
        assert state is not None
        waiting = {user for user in ("ada", "bea", "eve") if user in self._pending}
        self.seen.append((user, state.revision, waiting))
        return super().embed(texts)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        return np.asarray(super().embed([text])[0])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, synchronous="normal")
    yield store
    store.close()


@contextmanager
def computing() -> Iterator[Compute]:
    compute = Compute(threads=1, name="test")
    try:
        yield compute
    finally:
        compute.close()


def say(store: Store, user: str, count: int, model_id: str) -> None:
    texts = [f"{user} likes tea number {n}" for n in range(count)]
    items = [make_item(f"{user}{n}", text) for n, text in enumerate(texts)]
    store.add(user, items, list(WordEmbedder().embed(texts)), model_id)


async def test_a_user_is_renewed_as_a_whole_and_once(store: Store) -> None:
    say(store, "ada", COUNT, MODEL_ID)
    say(store, "bea", 1, "other")
    say(store, "eve", 1, MODEL_ID)
    before = store.user_state("ada")
    assert before is not None
    pending = Pending()
    encoder = Other(store, pending)
    with computing() as compute:
        await ReEmbedding(store, encoder, pending, reading=compute, writing=compute).run()
    # The latest first; nobody is renewed before all of their items have a vector.
    assert [user for user, _, _ in encoder.seen] == ["eve", *["ada"] * BATCHES]
    assert {revision for user, revision, _ in encoder.seen if user == "ada"} == {before.revision}
    assert [waiting for _, _, waiting in encoder.seen] == [{"ada", "eve"}, *[{"ada"}] * BATCHES]
    after = store.user_state("ada")
    assert after is not None
    assert after.revision == before.revision + 1
    assert all(row.vector is not None for row in store.index_rows(after, 0, "other"))
    assert not any(user in pending for user in ("ada", "bea", "eve"))


async def test_nobody_waits_if_nothing_changed(store: Store) -> None:
    say(store, "bea", 3, "other")
    before = store.user_state("bea")
    pending = Pending()
    encoder = Other(store, pending)
    with computing() as compute:
        await ReEmbedding(store, encoder, pending, reading=compute, writing=compute).run()
    assert encoder.seen == []
    assert store.user_state("bea") == before
