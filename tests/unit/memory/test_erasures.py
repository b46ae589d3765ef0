"""Erased items do not come back, and the record of an erasure contains no trace of them."""

import asyncio
import time
from pathlib import Path

from memory.erasure import notes as erasures
from memory.erasure.chunks import erase_user
from memory.settings import MemorySettings
from memory.sqlite.engine import SqliteMemory
from memory.sqlite.store import Store
from tests.unit.memory.items import make_item

DAY_NS = 86_400_000_000_000


async def test_call_that_begins_before_an_erasure_and_ends_after_it_stores_nothing(
    tmp_path: Path,
) -> None:
    engine = SqliteMemory(MemorySettings(data_dir=tmp_path, embedding_model="none", facts=False))
    await engine.open()
    try:
        # They share the write lock, so some calls come before the erasure and some after it.
        for number in range(20):
            calls = [
                engine.remember("u", [make_item(f"{number}-{k}", "a secret")]) for k in range(10)
            ]
            remembering = asyncio.gather(*calls)
            await asyncio.sleep(0)
            await engine.forget_everything("u")
            await remembering
            page = await engine.list_items("u", after=None, page_size=100)
            assert page.items == []
    finally:
        await engine.close()


def test_notes_go_after_a_month(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("u", [make_item("a", "one"), make_item("b", "two")], [None, None], "")
    store.forget_items("u", ["a", "unknown"])
    erase_user(store, "u")
    now_ns = time.time_ns()
    with store.transaction() as connection:
        erasures.drop_old(connection, now_ns + 30 * DAY_NS)
        assert "a" in erasures.since(connection, "u", 0)
        erasures.drop_old(connection, now_ns + 32 * DAY_NS)
        assert "a" not in erasures.since(connection, "u", 0)
    store.close()


def test_notes_hold_neither_names_nor_ids(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("ada lovelace", [make_item("item-1815", "text"), make_item("b", "")], [None] * 2, "")
    store.forget_items("ada lovelace", ["item-1815"])
    erase_user(store, "ada lovelace")
    store.scrub()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for trace in (b"lovelace", b"item-1815"):
        assert trace not in content
    store.close()
