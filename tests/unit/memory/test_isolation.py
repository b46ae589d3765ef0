"""No user sees another's items: random interleavings of users against a simple model."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.erasure.chunks import erase_user
from memory.facts.ledger import FactLedger
from memory.postgres.store import PostgresStore
from memory.search.index import IndexCache
from memory.sqlite.store import Store
from memory.store import Truth
from tests.unit.memory.items import make_item
from text.facts.extraction import findings

USERS = ["ada", "ada ", "Ada", "eve"]
CITIES = ["Graz", "Vienna", "Oslo", "Lima"]

Step = tuple[str, str, str]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["say", "say", "say", "forget one", "forget all", "distil"]),
        st.sampled_from(USERS),
        st.sampled_from(CITIES),
    ),
    max_size=25,
)


@contextmanager
def opened() -> Iterator[Truth]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), synchronous="normal")
        yield store
        store.close()


@pytest.fixture(scope="module")
def postgres_store(new_postgres_database: Callable[[], str]) -> Iterator[Truth]:
    store = PostgresStore(new_postgres_database(), connections=2)
    yield store
    store.close()


def distil(store: Truth) -> None:
    ledger = FactLedger(store)
    for unread in ledger.undistilled(100):
        found = findings(unread.item.text)
        ledger.apply(unread, found, [None] * len(found), "")


@given(steps=STEPS)
@settings(max_examples=40, deadline=None)
def test_each_user_sees_what_they_said_and_no_more(steps: list[Step]) -> None:
    with opened() as store:
        interleave(store, steps)


@given(steps=STEPS)
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_each_user_sees_what_they_said_and_no_more_in_postgresql(
    postgres_store: Truth, steps: list[Step]
) -> None:
    interleave(postgres_store, steps)
    for user in USERS:
        erase_user(postgres_store, user)


def interleave(store: Truth, steps: list[Step]) -> None:
    said: dict[str, dict[str, str]] = {user: {} for user in USERS}
    # So small that the indexes of users constantly evict each other.
    indexes = IndexCache(store, model_id="", dimensions=None, max_bytes=2_000)
    for number, (what, user, city) in enumerate(steps):
        if what == "say":
            text = f"I live in {city}"
            # The same id for all users: an id must never reach another user's item.
            item_id = f"i{len(said[user])}"
            item = make_item(item_id, text, created_unix_ms=number + 1)
            if item_id not in said[user]:
                store.add(user, [item], [None], "")
                said[user][item_id] = text
        elif what == "forget one":
            store.forget_items(user, ["i0"])
            said[user].pop("i0", None)
        elif what == "forget all":
            erase_user(store, user)
            said[user].clear()
            indexes.drop(user)
        else:
            distil(store)
        for each in USERS:
            check(store, indexes, each, said[each])


def check(store: Truth, indexes: IndexCache, user: str, said: dict[str, str]) -> None:
    held = [item for _, item in store.slice(user, after=None, limit=99, newest_first=True)]
    turns = {item.item_id: item.text for item in held if item.fact is None}
    assert turns == said
    for item in held:
        if item.fact is not None:
            assert set(item.fact.source_item_ids) <= set(said)
            assert item.fact.source_item_ids
    found = indexes.search(
        user, "Where do I live? Graz Vienna Oslo Lima", None, k=99, exclude_session_id=""
    )
    texts = {
        item.item_id: item.text for item in store.items([row.row_id for row in found]).values()
    }
    assert texts == {item.item_id: item.text for item in held}
