import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from memory.engine import Recollection
from memory.servicer import build
from memory.settings import MemorySettings
from memory.sqlite.engine import SqliteMemory
from memory.sqlite.store import Store
from retrieval.encoders import DEFAULT_ENCODER
from services.runtime.config.settings import SettingsError
from services.runtime.errors import Busy, InternalError
from tests.unit.memory.items import make_item
from tests.unit.memory.tiny_model import pull_tiny_model


@asynccontextmanager
async def opened(
    data_dir: Path, model: str = "none", *, facts: bool = True
) -> AsyncIterator[SqliteMemory]:
    engine = SqliteMemory(MemorySettings(data_dir=data_dir, embedding_model=model, facts=facts))
    try:
        await engine.open()
        yield engine
    finally:
        await engine.close()


def database_of(engine: SqliteMemory) -> Store:
    assert isinstance(engine.opened.store, Store)
    return engine.opened.store


async def recall(engine: SqliteMemory, query: str, user_id: str = "u") -> Recollection:
    return await engine.recall(user_id, query, max_items=10, min_score=0.0, exclude_session_id="")


async def test_without_the_model_words_alone_are_searched_and_it_says_so(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with opened(tmp_path, DEFAULT_ENCODER, facts=False) as engine:
            assert engine.describe().version.endswith("(words only)")
            await engine.remember("u", [make_item("a", "my dog is called Rex")])
            (found,) = (await recall(engine, "What is my dog called?")).items
            assert found.vector_score == 0
            assert found.score > 0
            assert found.lexical_score > 0.8
    warning = next(entry for entry in logs if entry["log_level"] == "warning")
    assert f"anima models pull {DEFAULT_ENCODER}" in warning["why"]


async def test_vectors_are_stored_with_the_items(tmp_path: Path) -> None:
    pull_tiny_model(tmp_path, "tiny")
    async with opened(tmp_path, "tiny") as engine:
        assert "tiny@" in engine.describe().version
        await engine.remember("u", [make_item("a", "my dog"), make_item("a", "other text")])
        await engine.remember("u", [make_item("a", "my dog")])
        (found,) = (await recall(engine, "my dog")).items
        assert found.vector_score == pytest.approx(1, abs=1e-4)
        assert found.lexical_score == pytest.approx(1, abs=1e-3)
        assert 0.5 < found.score <= 1


async def vector_score_reaches(engine: SqliteMemory, query: str, least: float) -> None:
    async with asyncio.timeout(90):
        while (await recall(engine, query)).items[0].vector_score < least:
            pass  # each recall lets the background work run


async def test_items_of_before_get_vectors_of_the_present_model(tmp_path: Path) -> None:
    pull_tiny_model(tmp_path, "tiny")
    pull_tiny_model(tmp_path, "other", seed=1)
    async with opened(tmp_path) as engine:
        items = [make_item(f"i{n}", f"my cat has {n} dogs") for n in range(150)]
        await engine.remember("u", items)
    for model in ("tiny", "other"):
        async with opened(tmp_path, model) as engine:
            for number in (0, 149):
                await vector_score_reaches(engine, f"my cat has {number} dogs", 0.999)


async def test_no_personal_cue_and_nothing_that_fits_is_skipped(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await engine.remember("u", [make_item("a", "My dog is called Rex")])
        assert (await recall(engine, "How do volcanoes form?")).skipped is False
        await engine.remember("u", [make_item("b", "The volcano tour was in the far north")])
        unrelated = await recall(engine, "How do big trees and a hot volcano and lightning differ?")
        assert (unrelated.skipped, unrelated.items) == (True, [])
        personal = await recall(engine, "How did I like the trip?")
        assert personal.skipped is False


async def test_a_full_disk_loses_nothing_and_is_named(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        await engine.remember("u", [make_item("a", "kept")])
        writer = database_of(engine)._writer
        (pages,) = writer.execute("PRAGMA page_count").fetchone()
        writer.execute(f"PRAGMA max_page_count = {pages}")
        many = [make_item(f"i{n}", "x" * 8000) for n in range(100)]
        with pytest.raises(Busy, match=r"the disk of .*memory is full.*Make room"):
            await engine.remember("u", many)
        page = await engine.list_items("u", after=None, page_size=10)
        assert [item.item_id for item in page.items] == ["a"]
        writer.execute("PRAGMA max_page_count = 1000000")
        await engine.remember("u", many)
        assert (await engine.list_items("u", after=None, page_size=1)).total_count == 101


async def test_a_page_that_breaks_meanwhile_is_named_and_others_are_served(tmp_path: Path) -> None:
    # The distiller may have read the page just before, and SQLite keeps it in its cache.
    async with opened(tmp_path, facts=False) as engine:
        for user in ("broken", "sound"):
            items = [make_item(f"i{n}", f"{user} {n:03} " + "x" * 3000) for n in range(60)]
            await engine.remember(user, items)
        path = database_of(engine).path
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        with path.open("r+b") as file:
            page = file.read().index(b"broken 030") // 4096
            file.seek(page * 4096)
            file.write(b"\xff" * 64)
        with pytest.raises(
            InternalError, match=r"page of .* database is damaged: .* put back a copy"
        ):
            await engine.list_items("broken", after=None, page_size=100)
        sound = [item async for item in engine.export("sound")]
        assert len(sound) == 60
        assert (await recall(engine, "Do you remember sound 030?", "sound")).items


async def test_a_folder_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("in the way", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"ANIMA_DATA_DIR: .*memory cannot be written"):
        async with opened(tmp_path):
            pass


async def test_broken_model_files_end_the_start(tmp_path: Path) -> None:
    folder = pull_tiny_model(tmp_path, "tiny")
    model = folder / "model.onnx"
    model.write_bytes(b"\0" * model.stat().st_size)
    with pytest.raises(SettingsError, match=r"tiny cannot be loaded.*anima models pull tiny"):
        async with opened(tmp_path, "tiny"):
            pass


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(SettingsError, match="'cloud'"):
        build(MemorySettings(engine="cloud"))


async def test_erasing_many_at_once_and_remembering_go_together(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        for number in range(12):
            await engine.remember(f"u{number}", [make_item("a", f"secret{number} text")])
        counts = await asyncio.gather(
            *(engine.forget_everything(f"u{number}") for number in range(10)),
            *(engine.remember("u11", [make_item(f"n{number}", "new")]) for number in range(10)),
        )
        assert counts[:10] == [1] * 10
        assert (await engine.list_items("u11", after=None, page_size=1)).total_count == 11
        await asyncio.to_thread(database_of(engine).scrub)
        content = b"".join(path.read_bytes() for path in (tmp_path / "memory").iterdir())
        assert [n for n in range(10) if f"secret{n} ".encode() in content] == []
        assert b"secret10 " in content


async def test_what_callers_gave_up_on_is_stored_all_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path, facts=False) as engine:
        calls = [
            asyncio.create_task(engine.remember("u", [make_item(f"i{n}", f"text {n}")]))
            for n in range(5)
        ]
        await asyncio.sleep(0)  # each call has begun
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
    async with opened(tmp_path, facts=False) as engine:
        page = await engine.list_items("u", after=None, page_size=10)
        assert page.total_count == 5
