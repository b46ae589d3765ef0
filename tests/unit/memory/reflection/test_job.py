"""Old turns are condensed once, on both databases; no summary keeps erased content."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memory.erasure.chunks import erase_user
from memory.facts.ledger import FactLedger
from memory.items.item import Item
from memory.items.retention import expire
from memory.reflection.condensed import Condensed
from memory.reflection.tables import Group, SummaryTables
from memory.sqlite.store import Store
from memory.store import Truth
from services.runtime.errors import Unavailable
from tests.unit.memory.items import MODEL_ID, WordEmbedder, make_item
from tests.unit.memory.reflection.talks import (
    CELLO,
    DAY_MS,
    GARDEN,
    MAY_3,
    hear,
    reflecting,
    summaries,
    talk,
)

JUNE_9 = MAY_3 + 37


def long_ago(store: Truth, user: str = "u") -> None:
    hear(store, talk("g", GARDEN, day=MAY_3, session="one"), user)
    hear(store, talk("c", CELLO, day=MAY_3, session="two"), user)


def held(store: Truth) -> int:
    return store.count("u", [1])


async def test_old_turns_are_condensed_by_session_and_day_and_stay(store: Truth) -> None:
    long_ago(store)
    hear(store, talk("d", CELLO, day=MAY_3 + 1, session="two"))
    hear(store, talk("n", GARDEN, day=JUNE_9, session="now"))
    before = held(store)
    with reflecting(store, day=JUNE_9) as job:
        assert await job.reflect() == 3
        assert await job.reflect() == 0
    garden, cello, next_day = summaries(store)
    assert garden.summary is not None
    assert garden.summary.source_item_ids == tuple(f"g{n}" for n in range(len(GARDEN)))
    assert garden.summary.from_unix_ms == MAY_3 * DAY_MS
    assert garden.summary.to_unix_ms == garden.created_unix_ms == MAY_3 * DAY_MS + 6
    assert (garden.session_id, garden.summary.extractor) == ("one", "sentences-1")
    assert "tomatoes" in garden.text
    assert cello.text.startswith("2026年5月3日")
    assert next_day.text.startswith("2026年5月4日")
    assert held(store) == before


async def test_only_many_and_only_old_turns_are_condensed(store: Truth) -> None:
    long_ago(store)
    hear(store, talk("v", GARDEN[:3], day=MAY_3, session="one"), user="v")
    for day, more_than, made in ((JUNE_9, 11, 0), (MAY_3 + 30, 10, 0), (MAY_3 + 31, 10, 2)):
        with reflecting(store, day=day, more_than=more_than) as job:
            assert await job.reflect() == made
    assert summaries(store, "v") == []


async def test_too_short_a_talk_stays_as_it_is_and_a_long_one_takes_several(store: Truth) -> None:
    hear(store, talk("s", GARDEN[1:3], day=MAY_3, session="short"))
    said = tuple(f"The train number {n} was late again." for n in range(130))
    hear(store, talk("l", said, day=MAY_3, session="long"))
    with reflecting(store, day=JUNE_9) as job:
        assert await job.reflect() == 3
    counts = [len(one.summary.source_item_ids) for one in summaries(store) if one.summary]
    assert sorted(counts) == [10, 60, 60]


async def test_a_summary_has_a_vector_of_the_encoder(store: Truth) -> None:
    class Words(WordEmbedder):
        tokenizer_json = None

        def embed_query(self, text: str) -> Any:
            return self.embed([text])[0]

    long_ago(store)
    with reflecting(store, day=JUNE_9, encoder=Words()) as job:
        assert await job.reflect() == 2
    state = store.user_state("u")
    assert state is not None
    rows = [row for row in store.index_rows(state, 0, MODEL_ID) if row.is_summary]
    assert [row.vector is None for row in rows] == [False, False]


async def test_what_was_cut_off_goes_on(store: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    long_ago(store)
    put = SummaryTables.put
    calls = 0

    def cut(*args: Any) -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Unavailable("the database is away")
        return put(*args)

    monkeypatch.setattr(SummaryTables, "put", cut)
    with reflecting(store, day=JUNE_9) as job:
        with pytest.raises(Unavailable, match="is away"):
            await job.reflect()
        first = summaries(store)
        assert len(first) == 1
        assert await job.reflect() == 1
    assert first[0] in summaries(store)
    assert len(summaries(store)) == 2


async def test_two_services_make_each_summary_once(store: Truth) -> None:
    long_ago(store)
    with reflecting(store, day=JUNE_9) as one, reflecting(store, day=JUNE_9) as other:
        made = await asyncio.gather(one.reflect(), other.reflect())
    assert sum(made) == len(summaries(store)) == 2


async def test_erasing_a_turn_erases_its_summary_which_is_made_anew(store: Truth) -> None:
    long_ago(store)
    with reflecting(store, day=JUNE_9) as job:
        await job.reflect()
        gone, kept = summaries(store)
        state = store.user_state("u")
        assert store.forget_items("u", ["g2"]) == 1
        assert store.user_state("u") != state
        assert summaries(store) == [kept]
        assert await job.reflect() == 1
    anew = next(item for item in summaries(store) if item != kept)
    assert anew.summary is not None
    assert gone.summary is not None
    assert set(gone.summary.source_item_ids) - set(anew.summary.source_item_ids) == {"g2"}
    assert GARDEN[2] not in anew.text
    # Erased by itself, it leaves the turns.
    before = held(store)
    store.forget_items("u", [anew.item_id])
    assert (summaries(store), held(store)) == ([kept], before)


async def test_a_turn_that_is_erased_meanwhile_is_in_no_summary(store: Truth) -> None:
    long_ago(store)
    tables = SummaryTables(store)
    group = Group(user=1, session_id="one", day=MAY_3)
    turns = list(tables.turns(group).values())
    condensed = Condensed(text=GARDEN[1], in_words_of_the_person=True, extractor="x")
    store.forget_items("u", ["g1"])
    assert not tables.put(group, turns, condensed, None, "")
    assert summaries(store) == []
    assert tables.put(group, turns[2:], condensed, None, "")
    assert not tables.put(group, turns[2:], condensed, None, "")


async def test_everything_of_a_user_goes(store: Truth) -> None:
    long_ago(store)
    long_ago(store, "v")
    with reflecting(store, day=JUNE_9) as job:
        assert await job.reflect() == 4
    erase_user(store, "u")
    assert (store.count("u"), len(summaries(store, "v"))) == (0, 2)
    with store.reading() as connection:
        (left,) = connection.execute("SELECT count(*) FROM summary_source").fetchone()
    assert left == len(GARDEN) + len(CELLO)


async def test_retention_erases_summaries_with_their_turns_unless_pinned(store: Truth) -> None:
    long_ago(store)
    with reflecting(store, day=JUNE_9) as job:
        await job.reflect()
    garden, cello = summaries(store)
    assert FactLedger(store).pin("u", [cello.item_id, "g1"], pinned=True) == 1
    assert summaries(store)[1].summary == replace(_summary_of(cello), pinned=True)
    now = (JUNE_9 + 100) * DAY_MS
    assert expire(store, turn_days=90, fact_days=0, now_unix_ms=now) == len(GARDEN) + 1
    assert [item.item_id for item in summaries(store)] == [cello.item_id]
    assert held(store) == len(CELLO)
    assert garden.item_id not in {item.item_id for item in summaries(store)}


def _summary_of(item: Item) -> Any:
    assert item.summary is not None
    return item.summary


def content_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_what_is_erased_is_in_no_file(tmp_path: Path) -> None:
    store = Store(tmp_path, synchronous="normal")
    secret = ("I keep zanzibarites in the cellar.", "The zanzibarites in the cellar shine.")
    hear(
        store, talk("z", (*secret, "The cellar with the zanzibarites is cold."), day=1, session="s")
    )
    hear(store, [make_item(f"k{n}", f"Kept word {n}") for n in range(20)])
    with reflecting(store, day=JUNE_9) as job:
        assert await job.reflect() == 2
        (summary,) = [item for item in summaries(store) if "zanzibarites" in item.text]
        assert summary.item_id.encode() in content_of(tmp_path)
        store.forget_items("u", ["z0", "z1", "z2"])
        await job.reflect()
    store.scrub()
    content = content_of(tmp_path)
    assert b"zanzibarites" not in content
    assert summary.item_id.encode() not in content
    assert b"Kept word 7" in content
    store.close()


async def test_with_a_user_who_is_gone_nothing_is_made(store: Truth) -> None:
    with reflecting(store, day=JUNE_9, more_than=0) as job:
        assert await job.reflect() == 0
        job.start()  # 0: never
        await job.stop()
