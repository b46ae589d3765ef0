import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.erasure.chunks import erase_user
from memory.search.index import Found, IndexCache, UserIndex
from memory.sqlite.store import Store
from retrieval.hybrid import blend
from retrieval.lexical import LexicalIndex
from tests.unit.memory.items import DIMENSIONS, MODEL_ID, WordEmbedder, make_item

WORDS = ["amber", "birch", "cedar", "delta", "ember", "flint", "grove", "北京", "上海"]
EMBEDDER = WordEmbedder()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, synchronous="normal")
    yield store
    store.close()


def cache_of(store: Store, max_bytes: int = 1 << 30) -> IndexCache:
    return IndexCache(store, model_id=MODEL_ID, dimensions=DIMENSIONS, max_bytes=max_bytes)


def add(store: Store, user_id: str, item_id: str, text: str, session_id: str = "") -> None:
    vector = EMBEDDER.embed([text])[0]
    store.add(user_id, [make_item(item_id, text, session_id=session_id)], [vector], MODEL_ID)


def search(
    cache: IndexCache, user_id: str, query: str, *, k: int = 10, exclude: str = ""
) -> list[Found]:
    vector = EMBEDDER.embed([query])[0]
    return cache.search(user_id, query, vector, k=k, exclude_session_id=exclude)


def found_ids(store: Store, found: list[Found]) -> list[str]:
    items = store.items([row.row_id for row in found])
    return [items[row.row_id].item_id for row in found]


def test_the_best_are_those_of_a_plain_computation(store: Store) -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, random.integers(1, 9))) for _ in range(300)]
    for number, text in enumerate(texts):
        add(store, "u", f"i{number}", text)
    query = "amber 北京 grove"
    cosines = EMBEDDER.embed(texts) @ EMBEDDER.embed([query])[0]
    plain = np.sort(blend(cosines, LexicalIndex(texts).scores(query)))[::-1]
    found = search(cache_of(store), "u", query, k=40)
    scores = [row.score for row in found]
    assert scores == sorted(scores, reverse=True)
    own = sorted(
        (row.own_score for row in search(cache_of(store), "u", query, k=300)), reverse=True
    )
    np.testing.assert_allclose(own[:40], plain[:40], atol=1e-6)


def test_of_equal_items_the_newest_is_first(store: Store) -> None:
    for number in range(4):
        add(store, "u", f"i{number}", "amber birch")
    assert found_ids(store, search(cache_of(store), "u", "amber", k=2)) == ["i3", "i2"]


def test_an_excluded_session_does_not_take_places(store: Store) -> None:
    for number in range(100):
        add(store, "u", f"now{number}", "amber", session_id="now")
    add(store, "u", "before", "amber birch cedar delta", session_id="before")
    cache = cache_of(store)
    assert found_ids(store, search(cache, "u", "amber", k=3, exclude="now")) == ["before"]
    assert len(search(cache, "u", "amber", k=3, exclude="unknown")) == 3


def test_the_index_follows_the_store(store: Store) -> None:
    cache = cache_of(store)
    assert search(cache, "u", "amber") == []
    add(store, "u", "a", "amber")
    assert found_ids(store, search(cache, "u", "amber")) == ["a"]
    add(store, "u", "b", "amber birch")
    assert found_ids(store, search(cache, "u", "amber")) == ["a", "b"]
    store.forget_items("u", ["a"])
    assert found_ids(store, search(cache, "u", "amber")) == ["b"]
    erase_user(store, "u")
    assert search(cache, "u", "amber") == []
    add(store, "u", "c", "amber")
    assert found_ids(store, search(cache, "u", "amber")) == ["c"]


def test_vectors_that_come_later_count(store: Store) -> None:
    store.add("u", [make_item("a", "amber")], [None], "")
    cache = cache_of(store)
    assert search(cache, "u", "amber")[0].vector_score == 0
    state = store.user_state("u")
    assert state is not None
    (row,) = store.index_rows(state, 0, MODEL_ID)
    store.put_vectors("u", [(row.row_id, EMBEDDER.embed(["amber"])[0])], MODEL_ID)
    assert search(cache, "u", "amber")[0].vector_score == 0
    store.raise_revision("u")
    assert search(cache, "u", "amber")[0].vector_score == pytest.approx(1, abs=1e-5)


def test_the_cache_stays_small(store: Store) -> None:
    for user in range(20):
        for number in range(20):
            add(store, f"u{user}", f"i{number}", f"amber word{number}")
    limit = 60_000
    cache = cache_of(store, max_bytes=limit)
    for _ in range(2):
        for user in range(20):
            assert len(search(cache, f"u{user}", "amber", k=50)) == 20
            assert 0 < cache.size_bytes <= limit
    cache.drop("u19")
    assert len(search(cache, "u19", "amber", k=50)) == 20


def test_very_many_users_take_no_more_memory_than_is_allowed(store: Store) -> None:
    dimensions, users, limit = 384, 2_000, 4 << 20
    vector = np.full(dimensions, dimensions**-0.5, dtype=np.float32)
    for user in range(users):
        items = [make_item(f"i{n}", f"amber word{n} of{user}") for n in range(6)]
        store.add(f"u{user}", items, [vector] * 6, MODEL_ID)
    cache = IndexCache(store, model_id=MODEL_ID, dimensions=dimensions, max_bytes=limit)
    process = psutil.Process()
    gc.collect()
    before_bytes = process.memory_info().rss
    largest_bytes = 0
    for user in range(users):
        found = cache.search(f"u{user}", f"of{user}", vector, k=9, exclude_session_id="")
        assert len(found) == 6
        largest_bytes = max(largest_bytes, cache.size_bytes)
    grown_bytes = process.memory_info().rss - before_bytes
    assert limit / 2 < largest_bytes <= limit
    # All of them would take ten times the limit; the slack is for pages of the database.
    index_bytes = limit / sum(isinstance(one, UserIndex) for one in gc.get_objects())
    assert users * index_bytes > 5 * limit
    assert grown_bytes < limit + (16 << 20)


actions = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "search", "search", "forget", "everything"]),
        st.integers(0, 4),
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
    ),
    max_size=40,
)


@given(actions, st.sampled_from([1, 2_000, 1 << 30]))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_users_never_mix(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, int, list[str]]],
    max_bytes: int,
) -> None:
    store = Store(tmp_path_factory.mktemp("users"), synchronous="normal")
    cache = cache_of(store, max_bytes)
    held: dict[str, dict[str, str]] = {f"u{n}": {} for n in range(5)}
    for number, (action, who, words) in enumerate(steps):
        user, text = f"u{who}", " ".join(words)
        if action == "add":
            # The same item id for every user: only the user distinguishes them.
            add(store, user, f"i{number % 3}", f"{text} of{user}")
            held[user].setdefault(f"i{number % 3}", f"{text} of{user}")
        elif action == "forget":
            store.forget_items(user, [f"i{number % 3}"])
            held[user].pop(f"i{number % 3}", None)
        elif action == "everything":
            assert erase_user(store, user) == len(held[user])
            held[user].clear()
        # Whatever was done, each user finds all of their own items and nothing else.
        for owner, own in held.items():
            found = search(cache, owner, f"{text} of{owner}", k=50)
            items = store.items([row.row_id for row in found])
            assert {items[row.row_id].text for row in found} == set(own.values())
    store.close()


@given(actions)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_an_index_that_followed_is_the_one_made_anew(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, list[str]]]
) -> None:
    store = Store(tmp_path_factory.mktemp("follow"), synchronous="normal")
    followed = cache_of(store)
    for number, (action, who, words) in enumerate(steps):
        user, text = f"u{who % 2}", " ".join(words)
        if action == "add":
            add(store, user, f"i{number}", text, session_id=f"s{number % 3}")
        elif action == "forget":
            store.forget_items(user, [f"i{number - 2}"])
        elif action == "everything":
            erase_user(store, user)
        anew = cache_of(store)
        for owner in ("u0", "u1"):
            rows = [
                [(row.row_id, row.score, row.own_score) for row in search(cache, owner, text, k=50)]
                for cache in (followed, anew)
            ]
            assert rows[0] == rows[1]
    store.close()


def test_searches_and_writes_at_the_same_time(store: Store) -> None:
    cache = cache_of(store, max_bytes=20_000)

    def work(number: int) -> None:
        user = f"u{number % 4}"
        add(store, user, f"i{number}", f"amber of{user}")
        found = found_ids(store, search(cache, user, f"amber of{user}", k=100))
        assert f"i{number}" in found
        assert all(int(item_id[1:]) % 4 == number % 4 for item_id in found)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(200)))
