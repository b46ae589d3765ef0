"""A database whose files are deleted, replaced or emptied is noticed, not silently written to."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from memory.service.faults import StoreError
from memory.settings import MemorySettings
from memory.sqlite.engine import SqliteMemory
from memory.sqlite.store import Store
from services.runtime.errors import Unavailable
from tests.unit.memory.items import make_item


def emptied(folder: Path) -> None:
    (folder / "memory.db").unlink()
    (folder / "memory.db").touch()


def replaced(folder: Path) -> None:
    copy = folder / "copy"
    shutil.copy(folder / "memory.db", copy)
    copy.replace(folder / "memory.db")


LOSSES: dict[str, Callable[[Path], object]] = {
    "folder": shutil.rmtree,
    "database": lambda folder: (folder / "memory.db").unlink(),
    "emptied database": emptied,
    "replaced database": replaced,
    "log": lambda folder: (folder / "memory.db-wal").unlink(),
    "lock": lambda folder: (folder / "memory.lock").unlink(),
    "moved folder": lambda folder: folder.rename(folder.with_name("elsewhere")),
}


@pytest.mark.parametrize("lost", LOSSES)
def test_nothing_is_acknowledged_that_would_be_lost(tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "memory"
    with closing(Store(folder)) as store:
        store.add("ada", [make_item("before", "Some text.")], [None], "")
        LOSSES[lost](folder)
        with pytest.raises(StoreError, match="was deleted or replaced while the service runs"):
            store.add("ada", [make_item("after", "Some text.")], [None], "")
        with pytest.raises(StoreError, match="was deleted or replaced"):
            store.scrub()


async def test_the_service_is_not_ready_until_it_is_started_again(tmp_path: Path) -> None:
    engine = SqliteMemory(MemorySettings(data_dir=tmp_path, embedding_model="none", facts=False))
    await engine.open()
    reports: asyncio.Queue[str] = asyncio.Queue()
    watching = asyncio.create_task(engine.watch(reports.put))
    await engine.remember("ada", [make_item("before", "Some text.")])
    assert reports.empty()
    (tmp_path / "memory" / "memory.db").unlink()
    with pytest.raises(Unavailable, match="stop the service, put back the file or a copy"):
        await engine.remember("ada", [make_item("after", "Some text.")])
    async with asyncio.timeout(30):
        assert "was deleted or replaced" in await reports.get()
    watching.cancel()
    await engine.close()


def test_a_scrub_replaces_the_files_itself(tmp_path: Path) -> None:
    with closing(Store(tmp_path)) as store:
        for _ in range(3):
            store.add("ada", [make_item("before", "Some text.")], [None], "")
            store.forget_items("ada", ["before"])
            store.scrub()
        store.add("ada", [make_item("after", "Some text.")], [None], "")
        assert store.count("ada") == 1


def test_an_emptied_database_is_refused_but_a_new_folder_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    with closing(Store(folder)) as store:
        store.add("ada", [make_item("before", "Some text.")], [None], "")
    emptied(folder)
    with pytest.raises(StoreError, match=r"has 0 bytes.*put back a copy, or remove the file"):
        Store(folder)
    (folder / "memory.db").unlink()
    Store(folder).close()

    # A service that was killed while it created its first database starts again.
    other = tmp_path / "other"
    other.mkdir()
    (other / "memory.lock").touch()
    (other / "memory.db").touch()
    Store(other).close()


def test_a_scrub_is_not_taken_for_a_loss(tmp_path: Path) -> None:
    with closing(Store(tmp_path)) as store, ThreadPoolExecutor(1) as pool:
        done = threading.Event()

        def watch() -> int:
            count = 0
            while not done.is_set():
                store.check_files()
                count += 1
            return count

        watching = pool.submit(watch)
        for _ in range(20):
            store.add("ada", [make_item("before", "Some text.")], [None], "")
            store.forget_items("ada", ["before"])
            store.scrub()
        done.set()
        assert watching.result() > 20
