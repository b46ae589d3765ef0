"""SQLite and PostgreSQL return the same results for the same calls."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memory.erasure.chunks import erase_user
from memory.facts.ledger import FactLedger
from memory.items.retention import expire
from memory.postgres.store import PostgresStore
from memory.search.index import IndexCache
from memory.sqlite.store import Store
from memory.store import Truth
from tests.unit.memory.items import DIMENSIONS, MODEL_ID, WordEmbedder, make_item
from text.facts.extraction import findings

WORDS = ["amber", "birch", "cedar", "delta", "ember", "Ärger", "北京", "上海", "don't", "3.14"]
SAID = ["My name is Anna.", "I live in Graz.", "I moved to Wien.", "I am allergic to nuts."]
EMBEDDER = WordEmbedder()


class Side:
    """One store with the objects that use it."""

    def __init__(self, store: Truth) -> None:
        self.store = store
        self.ledger = FactLedger(store)
        self.indexes = IndexCache(store, model_id=MODEL_ID, dimensions=DIMENSIONS, max_bytes=40_000)

    def distil(self) -> None:
        for unread in self.ledger.undistilled(100):
            found = findings(unread.item.text)
            self.ledger.apply(unread, found, [None] * len(found), MODEL_ID)

    def answers(self, user: str, query: str) -> list[object]:
        vector = EMBEDDER.embed([query])[0]
        found = self.indexes.search(user, query, vector, k=20, exclude_session_id="s1")
        items = self.store.items([row.row_id for row in found])
        pages = self.store.slice(user, after=None, limit=7, newest_first=True)
        later = (
            [
                item
                for _, item in self.store.slice(
                    user, after=pages[2][0], limit=50, newest_first=False, kinds=[1]
                )
            ]
            if len(pages) > 2
            else []
        )
        return [
            [(items[row.row_id], round(row.score, 5), round(row.own_score, 5)) for row in found],
            [item for _, item in pages],
            later,
            self.store.count(user),
            self.store.count(user, [2]),
            sorted(self.ledger.value_keys(user)),
            len(self.ledger.outdated_sources([row.row_id for row in found])),
            self.store.users_without_vectors(MODEL_ID) != [],
        ]


def act(side: Side, seed: int) -> object:
    """Does one random thing, the same for each seed."""
    chance = random.Random(seed)
    user = f"u{chance.randrange(3)}"
    action = chance.choice(
        ["add"] * 5 + ["forget", "forget", "everything", "pin", "expire", "scrub"]
    )
    ids = [f"i{chance.randrange(60)}" for _ in range(4)]
    if action == "add":
        texts = [" ".join(chance.choices(WORDS, k=chance.randrange(1, 8))) for _ in ids]
        texts[0] = chance.choice(SAID)
        made = [
            replace(
                make_item(i, text, session_id=f"s{chance.randrange(3)}"),
                created_unix_ms=1_000 + seed * 10 + n,
                speaker=chance.choice([1, 2]),
            )
            for n, (i, text) in enumerate(zip(ids, texts, strict=True))
        ]
        vectors = list(EMBEDDER.embed(texts))
        return side.store.add(user, made, vectors, MODEL_ID)
    if action == "forget":
        return side.store.forget_items(user, ids)
    if action == "everything":
        return erase_user(side.store, user) if chance.random() < 0.3 else None
    if action == "scrub":
        waiting = side.store.erasures_to_scrub()
        side.store.scrub()
        assert side.store.erasures_to_scrub() == 0
        return waiting
    if action == "pin":
        facts = [
            i.item_id
            for _, i in side.store.slice(user, after=None, limit=3, newest_first=False, kinds=[2])
        ]
        return side.ledger.pin(user, facts, pinned=chance.random() < 0.5) if facts else None
    day_ms = 86_400_000
    return expire(
        side.store, turn_days=1, fact_days=2, now_unix_ms=day_ms + 1_000 + (seed - 40) * 10
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_random_calls_are_answered_alike(
    tmp_path: Path, new_postgres_database: Callable[[], str], seed: int
) -> None:
    sides = [
        Side(Store(tmp_path, synchronous="normal")),
        Side(PostgresStore(new_postgres_database(), connections=3)),
    ]
    chance = random.Random(seed)
    changed = 0
    for step in range(80):
        number = seed * 1_000 + step
        done = [act(side, number) for side in sides]
        assert done[0] == done[1], step
        changed += bool(done[0])
        if step % 3 == 0:
            for side in sides:
                side.distil()
        user, query = f"u{step % 3}", " ".join(chance.choices(WORDS, k=3))
        mine, other = (side.answers(user, query) for side in sides)
        assert mine == other, step
    assert changed > 20
    for side in sides:
        side.store.close()


def test_vectors_come_back_bit_for_bit(new_postgres_database: Callable[[], str]) -> None:
    store = PostgresStore(new_postgres_database(), connections=2)
    vector = np.random.default_rng(0).standard_normal(384).astype(np.float32)
    store.add("u", [make_item("a", "x")], [vector], MODEL_ID)
    state = store.user_state("u")
    assert state is not None
    (row,) = store.index_rows(state, 0, MODEL_ID)
    assert row.vector is not None
    np.testing.assert_array_equal(row.vector, vector)
    with store.reading() as connection:
        (nearest,) = connection.execute(
            "SELECT 1 - (vector <=> CAST(? AS vector)) FROM vec", (vector.tobytes(),)
        ).fetchone()
    assert nearest == pytest.approx(1)
    store.close()
