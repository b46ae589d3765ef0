"""Items that are too old are erased; pinned ones stay."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.facts.ledger import FactLedger
from memory.items.retention import expire
from memory.settings import MemorySettings
from memory.sqlite.engine import SqliteMemory
from memory.sqlite.store import Store
from tests.unit.memory.items import make_item
from text.facts.extraction import findings

DAY_MS = 86_400_000
NOW_MS = 100 * DAY_MS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, synchronous="normal")
    yield store
    store.close()


def hear(store: Store, item_id: str, text: str, *, day: int, user: str = "u") -> None:
    item = make_item(item_id, text, created_unix_ms=day * DAY_MS)
    store.add(user, [item], [None], "")
    ledger = FactLedger(store)
    for unread in ledger.undistilled(10):
        found = findings(unread.item.text)
        ledger.apply(unread, found, [None] * len(found), "")


def held(store: Store, user: str = "u") -> list[str]:
    rows = store.slice(user, after=None, limit=99, newest_first=False)
    return [item.text for _, item in rows]


def fact_id(store: Store, text: str) -> str:
    rows = store.slice("u", after=None, limit=99, newest_first=False)
    return next(item.item_id for _, item in rows if item.fact is not None and item.text == text)


def test_old_turns_go_with_their_facts_from_all_files(store: Store, tmp_path: Path) -> None:
    hear(store, "old", "I like zanzibarites", day=10)
    hear(store, "new", "I like snow", day=95)
    hear(store, "theirs", "I like zanzibarites", day=10, user="v")
    before = store.user_state("u")
    assert expire(store, turn_days=30, fact_days=0, now_unix_ms=NOW_MS) == 2
    assert held(store) == ["I like snow", "I like snow."]
    assert store.user_state("u") != before
    store.scrub()
    assert not any(b"zanzibarites" in path.read_bytes() for path in tmp_path.iterdir())
    assert expire(store, turn_days=30, fact_days=0, now_unix_ms=NOW_MS) == 0


def test_a_pinned_fact_stays_and_keeps_its_source(store: Store) -> None:
    hear(store, "a", "I like tea", day=10)
    hear(store, "b", "I like snow", day=10)
    FactLedger(store).pin("u", [fact_id(store, "I like tea.")], pinned=True)
    expire(store, turn_days=30, fact_days=30, now_unix_ms=NOW_MS)
    assert held(store) == ["I like tea", "I like tea."]


def test_a_fact_that_was_told_again_stays(store: Store) -> None:
    hear(store, "a", "I like tea", day=10)
    hear(store, "b", "I like snow", day=10)
    hear(store, "c", "I like tea", day=95)
    expire(store, turn_days=0, fact_days=30, now_unix_ms=NOW_MS)
    assert held(store) == ["I like tea", "I like tea.", "I like snow", "I like tea"]


def test_without_a_setting_nothing_goes(store: Store) -> None:
    hear(store, "a", "I like tea", day=1)
    assert expire(store, turn_days=0, fact_days=0, now_unix_ms=NOW_MS) == 0
    assert held(store) == ["I like tea", "I like tea."]


async def test_the_service_erases_what_is_too_old_when_it_starts(tmp_path: Path) -> None:
    store = Store(tmp_path / "memory")
    hear(store, "old", "I like tea", day=10)
    store.close()
    settings = MemorySettings(data_dir=tmp_path, embedding_model="none", turn_retention_days=1)
    engine = SqliteMemory(settings)
    await engine.open()
    try:
        async with asyncio.timeout(90):
            while (await engine.list_items("u", after=None, page_size=9)).items:
                pass  # each call lets the background work run
    finally:
        await engine.close()
