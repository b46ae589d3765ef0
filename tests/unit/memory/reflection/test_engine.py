"""Summaries are listed, exported, imported, pinned and found, and displace no turn."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from anima.memory.v1 import ITEM_KIND_FACT, ITEM_KIND_SUMMARY, ITEM_KIND_TURN
from memory.items.item import Item
from memory.service.messages import checked_item, message_of
from memory.settings import MemorySettings
from memory.sqlite.engine import SqliteMemory
from retrieval.encoders import DEFAULT_ENCODER
from services.runtime.config.settings import ServiceSettings
from services.runtime.errors import InvalidRequest
from tests.requirements import need
from tests.unit.memory.reflection.talks import CELLO, GARDEN, MAY_3, talk

TURNS = [
    *talk("g", GARDEN, day=MAY_3, session="one"),
    *talk("c", CELLO, day=MAY_3, session="two"),
]


@asynccontextmanager
async def condensed(data_dir: Path, model: str = "none") -> AsyncIterator[SqliteMemory]:
    settings = MemorySettings(data_dir=data_dir, embedding_model=model, condense_turns=5)
    engine = SqliteMemory(settings)
    await engine.open()
    try:
        await engine.remember("u", TURNS)
        await engine.opened.reflection.reflect()
        yield engine
    finally:
        await engine.close()


async def found(
    engine: SqliteMemory, query: str, *kinds: int, max_items: int = 5, session: str = ""
) -> list[Item]:
    recollection = await engine.recall(
        "u", query, max_items=max_items, min_score=0, exclude_session_id=session, kinds=kinds
    )
    return [one.item for one in recollection.items]


async def exported(engine: SqliteMemory, user: str) -> list[Item]:
    return [item async for item in engine.export(user)]


async def test_they_are_listed_pinned_exported_and_imported(tmp_path: Path) -> None:
    async with condensed(tmp_path) as engine:
        page = await engine.list_items("u", after=None, page_size=9, kinds=[ITEM_KIND_SUMMARY])
        assert page.total_count == 2
        ids = [item.item_id for item in page.items]
        assert await engine.pin("u", ids[:1], pinned=True) == 1
        items = [item for item in await exported(engine, "u") if item.kind != ITEM_KIND_FACT]
        assert len(items) == len(TURNS) + 2
        sent = [checked_item("i", message_of(item), 0, with_fact=True) for item in items]
        assert sent == items
        assert await engine.restore("v", sent) == len(items)
        assert await engine.restore("v", sent) == 0
        back = [item for item in await exported(engine, "v") if item.kind != ITEM_KIND_FACT]
        assert back == items
        # A summary of erased turns does not come back.
        await engine.forget_items("v", ["g1"])
        left = [item for item in sent if item.item_id != "g1"]
        assert await engine.restore("v", left) == 0
        assert (await engine.list_items("v", after=None, page_size=9, kinds=[3])).total_count == 1


async def test_they_are_found_alone_and_leave_a_session_out(tmp_path: Path) -> None:
    async with condensed(tmp_path) as engine:
        (best, *_) = await found(engine, "How are my tomatoes?", ITEM_KIND_SUMMARY)
        assert best.summary is not None
        assert "tomatoes" in best.text
        (best, *_) = await found(engine, "我的大提琴怎么样？", ITEM_KIND_SUMMARY)
        assert "大提琴" in best.text
        assert await found(engine, "我的大提琴怎么样？", ITEM_KIND_SUMMARY, session="two") == []
        kinds = {item.kind for item in await found(engine, "my tomatoes", ITEM_KIND_TURN)}
        assert kinds == {ITEM_KIND_TURN}
        await engine.forget_items("u", ["g1"])
        assert await found(engine, "How are my tomatoes?", ITEM_KIND_SUMMARY) == []


async def test_a_summary_never_stands_beside_its_own_turns(tmp_path: Path) -> None:
    plain = SqliteMemory(
        MemorySettings(data_dir=tmp_path / "plain", embedding_model="none", condense_turns=0)
    )
    await plain.open()
    await plain.remember("u", TURNS)
    async with condensed(tmp_path / "condensed") as engine:
        for query in ("How are my tomatoes?", "Who waters my garden?", "我的乐团什么时候演出？"):
            for max_items in (1, 3, 5, 9):
                with_them = await found(engine, query, max_items=max_items)
                without = await found(plain, query, max_items=max_items)
                turns = [item for item in with_them if item.kind == ITEM_KIND_TURN]
                assert turns
                assert turns == [i for i in without if i.kind == ITEM_KIND_TURN][: len(turns)]
                given = {item.item_id for item in with_them}
                for item in with_them:
                    assert item.summary is None or given.isdisjoint(item.summary.source_item_ids)
    await plain.close()


async def test_what_a_person_set_right_is_not_told_by_a_summary(tmp_path: Path) -> None:
    async with condensed(tmp_path) as engine:
        said = (
            "My home town where I live in Graz is fine.",
            "I live in Graz.",
            "Graz, where I live in a flat, is a town.",
        )
        await engine.remember("u", talk("h", said, day=MAY_3 - 5, session="home"))
        await engine.opened.reflection.reflect()
        assert "Graz" in (await found(engine, "What is my town?", ITEM_KIND_SUMMARY))[0].text
        facts: list[Item] = []
        while not facts:
            page = await engine.list_items("u", after=None, page_size=99, kinds=[ITEM_KIND_FACT])
            facts = [i for i in page.items if i.fact and i.fact.value == "Graz"]
        await engine.correct("u", facts[0].item_id, "Wien")
        texts = [item.text for item in await found(engine, "What is my town?", ITEM_KIND_SUMMARY)]
        assert not any("Graz" in text for text in texts)


@pytest.mark.parametrize("query", ["Which vegetables do I grow?", "Who helps me with my plants?"])
async def test_they_are_found_by_meaning(tmp_path: Path, query: str) -> None:
    need("encoder")
    models = ServiceSettings.from_environment().data_dir / "models"
    (tmp_path / "models").symlink_to(models, target_is_directory=True)
    async with condensed(tmp_path, DEFAULT_ENCODER) as engine:
        best = (await found(engine, query, ITEM_KIND_SUMMARY))[0]
        assert "tomatoes" in best.text


def test_a_summary_that_is_sent_must_be_whole() -> None:
    message = message_of(TURNS[0])
    message.kind = ITEM_KIND_SUMMARY
    with pytest.raises(InvalidRequest, match=r"i\.summary"):
        checked_item("i", message, 0, with_fact=True)
    message.summary.extractor = "x"
    with pytest.raises(InvalidRequest, match=r"i\.summary\.source_item_ids: .*at least one"):
        checked_item("i", message, 0, with_fact=True)
    message.summary.source_item_ids.append("a b")
    with pytest.raises(InvalidRequest, match=r"i\.summary\.source_item_ids\[0\]"):
        checked_item("i", message, 0, with_fact=True)
    message.summary.source_item_ids[0] = "a"
    assert checked_item("i", message, 0, with_fact=True).summary is not None
    with pytest.raises(InvalidRequest, match="summaries are made by the memory"):
        checked_item("i", message, 0)
    message.kind = ITEM_KIND_TURN
    with pytest.raises(InvalidRequest, match=r"i\.summary"):
        checked_item("i", message, 0)
