"""Facts that are long not mentioned or used fade; pinned ones never do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.facts.decay import Decay, DecayMode, Uses, decay, strength
from memory.facts.ledger import FactLedger
from memory.items.item import Item
from memory.settings import MemorySettings
from memory.sqlite.engine import SqliteMemory
from memory.sqlite.store import Store
from services.runtime.process.compute import Compute
from tests.unit.memory.items import make_item
from text.facts.extraction import findings

DAY_MS = 86_400_000
HALF_LIFE_DAYS = 100


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, synchronous="normal")
    yield store
    store.close()


def hear(store: Store, *said: str, day: int, user: str = "u") -> None:
    items = [
        make_item(f"{user}{day}-{n}", text, created_unix_ms=day * DAY_MS + n)
        for n, text in enumerate(said)
    ]
    store.add(user, items, [None] * len(items), "")
    ledger = FactLedger(store)
    for unread in ledger.undistilled(100):
        found = findings(unread.item.text)
        ledger.apply(unread, found, [None] * len(found), "")


def facts(store: Store, user: str = "u") -> dict[str, Item]:
    rows = store.slice(user, after=None, limit=99, newest_first=False)
    return {item.text: item for _, item in rows if item.fact is not None}


def holding(store: Store) -> set[str]:
    return {t for t, i in facts(store).items() if i.fact and not i.fact.valid_to_unix_ms}


def forget(store: Store, *, day: int, how: DecayMode = "end") -> int:
    now_unix_ms = day * DAY_MS
    return decay(store, how=how, half_life_days=HALF_LIFE_DAYS, now_unix_ms=now_unix_ms)


def use(store: Store, *texts: str, day: int, times: int = 1) -> None:
    uses, held = Uses(), facts(store)
    for _ in range(times):
        uses.note("u", [held[text] for text in texts], day * DAY_MS)
    uses.write(store)


def test_strength_falls_with_time_and_rises_with_use_and_confidence() -> None:
    def of(uses: int = 0, idle: float = 0, attribute: str = "likes", sure: float = 0.8) -> float:
        return strength(
            confidence=sure, uses=uses, attribute=attribute, idle_days=idle, half_life_days=100
        )

    assert of() == pytest.approx(0.8)
    assert of(idle=100) == pytest.approx(0.4)
    assert of(uses=3) > of(uses=1) > of()
    assert of(sure=0.9) > of(sure=0.8)
    assert of(attribute="allergy", idle=800) == pytest.approx(0.4)


def test_what_is_not_told_or_used_ends_and_is_kept(store: Store) -> None:
    hear(store, "I like tea", "I like snow", "I am allergic to peanuts", day=10)
    hear(store, "I like tea", day=300)  # mentioned again
    assert forget(store, day=300) == 0
    assert forget(store, day=400) == 1
    assert holding(store) == {"I like tea.", "I am allergic to peanuts."}
    ended = facts(store)["I like snow."].fact
    assert ended is not None
    assert (ended.valid_to_unix_ms, ended.superseded_by) == (400 * DAY_MS, "")
    assert forget(store, day=400) == 0


def test_what_is_used_stays_longer(store: Store) -> None:
    hear(store, "I like tea", "I like snow", "I like jazz", day=10)
    use(store, "I like tea.", day=300)
    use(store, "I like jazz.", day=20, times=20)
    forget(store, day=420)
    assert holding(store) == {"I like tea.", "I like jazz."}


def test_what_is_pinned_is_never_forgotten(store: Store) -> None:
    hear(store, "I like tea", "I like snow", day=10)
    FactLedger(store).pin("u", [facts(store)["I like tea."].item_id], pinned=True)
    assert forget(store, day=9_000) == 1
    assert holding(store) == {"I like tea."}
    assert forget(store, day=9_000, how="erase") == 0


def test_what_is_erased_is_in_no_file(store: Store, tmp_path: Path) -> None:
    hear(store, "I like zanzibarites", "I like snow", day=10)
    use(store, "I like snow.", day=500)
    before = store.user_state("u")
    assert forget(store, day=500, how="erase") == 1
    assert set(facts(store)) == {"I like snow."}
    assert store.user_state("u") != before
    store.scrub()
    assert not any(b"I like zanzibarites." in path.read_bytes() for path in tmp_path.iterdir())


def test_uses_of_others_and_of_what_is_gone_are_left_out(store: Store) -> None:
    hear(store, "I like tea", day=10)
    item = facts(store)["I like tea."]
    uses = Uses()
    uses.note("v", [item], 1)
    uses.note("u", [item, make_item("turn", "no fact")], 1)
    store.forget_items("u", [item.item_id])
    assert len(uses) == 2
    uses.write(store)
    assert len(uses) == 0
    with store.reading() as connection:
        assert connection.execute("SELECT count(*) FROM fact_use").fetchone()[0] == 0


def test_the_work_sweeps_once_an_hour(store: Store) -> None:
    hear(store, "I like tea", day=4_990)
    now = [5_000 * DAY_MS]
    compute = Compute(threads=1, name="test")
    job = Decay(
        store,
        Uses(),
        writing=compute,
        how="end",
        half_life_days=HALF_LIFE_DAYS,
        now_unix_ms=lambda: now[0],
    )
    job.work()
    assert holding(store) == {"I like tea."}
    hear(store, "I like snow", day=10)
    now[0] += 3_599_999
    job.work()
    assert holding(store) == {"I like tea.", "I like snow."}
    now[0] += 1
    job.work()
    assert holding(store) == {"I like tea."}
    compute.close()


async def test_a_recall_counts_and_closing_writes_it(tmp_path: Path) -> None:
    engine = SqliteMemory(MemorySettings(data_dir=tmp_path, embedding_model="none", facts=False))
    await engine.open()
    store = Store(tmp_path / "apart")
    hear(store, "My dog is called Rex", day=10)
    await engine.restore("u", list(facts(store).values()))
    store.close()
    for _ in range(3):
        found = await engine.recall(
            "u", "What is my dog called?", max_items=3, min_score=0, exclude_session_id=""
        )
        assert [one.item.text for one in found.items] == ["My dog is called Rex."]
    await engine.close()
    store = Store(tmp_path / "memory")
    with store.reading() as connection:
        assert connection.execute("SELECT uses FROM fact_use").fetchall() == [(3,)]
    store.close()
