"""A database that has lost confirmed transactions is told from one that has not."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from cli import doctor
from memory.sqlite.commits import LOSS_NAME, NUMBER_NAME, Loss
from memory.sqlite.store import Store
from tests.unit.memory.items import make_item

ITEMS = 12


def fill(store: Store, count: int = ITEMS) -> None:
    for number in range(count):
        store.add("ada", [make_item(f"i{number}", f"Text number {number}.")], [None], "")


def killed(tmp_path: Path) -> Path:
    """Returns the folder of a store whose process was killed: the log is still beside it."""
    folder = tmp_path / "data" / "memory"
    with closing(Store(tmp_path / "alive")) as store:
        fill(store)
        shutil.copytree(tmp_path / "alive", folder, ignore=shutil.ignore_patterns("*-shm"))
    return folder


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def of_warnings(logs: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(each["event"]) for each in logs if each["log_level"] in ("warning", "error")]


@pytest.mark.parametrize("damage", [cut, Path.unlink], ids=["cut", "removed"])
def test_a_log_that_is_cut_or_removed_is_reported(
    tmp_path: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = killed(tmp_path)
    damage(folder / "memory.db-wal")
    with capture_logs() as logs, closing(Store(folder)) as store:
        left = store.count("ada")
        assert left < ITEMS
        fill(store, 1)
    assert [event.partition(":")[0] for event in of_warnings(logs)] == ["memories are missing"]
    assert logs[0]["transactions"] == ITEMS - left
    lost = Loss.read(folder)
    assert lost is not None
    assert lost.transactions == ITEMS - left
    # The service says it once; `anima doctor` until somebody removes the record.
    with capture_logs() as logs, closing(Store(folder)):
        assert of_warnings(logs) == []
    monkeypatch.setenv("ANIMA_DATA_DIR", str(folder.parent))
    (finding,) = doctor._stored_memories()
    assert finding.verdict is doctor.Verdict.MISSING
    assert f"{lost.transactions} confirmed" in finding.detail
    lost.path.unlink()
    assert doctor._stored_memories() == []


def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    with capture_logs() as logs, closing(Store(folder)) as store:
        assert store.count("ada") == ITEMS
    assert of_warnings(logs) == []
    assert Loss.read(folder) is None


def test_a_kill_just_after_a_commit_is_no_loss(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    (folder / NUMBER_NAME).write_text(f"{3:020}\n", encoding="ascii")
    with closing(Store(folder)):
        assert Loss.read(folder) is None
    with closing(Store(folder)) as store:
        assert store.count("ada") == ITEMS


@pytest.mark.parametrize("content", [b"", b"not a number at all", bytes(20)])
def test_a_damaged_number_is_no_loss(tmp_path: Path, content: bytes) -> None:
    folder = killed(tmp_path)
    (folder / NUMBER_NAME).write_bytes(content)
    with closing(Store(folder)):
        assert Loss.read(folder) is None


def test_an_older_copy_is_reported_and_a_new_memory_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    with closing(Store(folder)) as store:
        fill(store, 2)
    shutil.copy(folder / "memory.db", tmp_path / "old.db")
    with closing(Store(folder)) as store:
        fill(store)
        store.scrub()
    shutil.copy(tmp_path / "old.db", folder / "memory.db")
    Store(folder).close()
    assert (folder / LOSS_NAME).exists()
    (folder / LOSS_NAME).unlink()
    (folder / "memory.db").unlink()
    Store(folder).close()
    assert not (folder / LOSS_NAME).exists()


def test_losses_add_up_and_a_damaged_record_is_a_loss(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    cut(folder / "memory.db-wal")
    (folder / LOSS_NAME).write_text('{"transactions": 100, "noticed": "2026-01-01"}')
    Store(folder).close()
    lost = Loss.read(folder)
    assert lost is not None
    assert lost.transactions > 100
    lost.path.write_text("nonsense")
    assert Loss.read(folder) is not None


def test_what_changes_nothing_is_not_counted(tmp_path: Path) -> None:
    with closing(Store(tmp_path)) as store:
        fill(store, 1)
        before = (tmp_path / NUMBER_NAME).read_bytes()
        with store.transaction():
            pass
        with pytest.raises(sqlite3.OperationalError), store.transaction() as connection:
            connection.execute("UPDATE user SET revision = 7").connection.execute("nonsense")
        assert (tmp_path / NUMBER_NAME).read_bytes() == before
        fill(store, 1)
        fill(store, 2)
        assert int((tmp_path / NUMBER_NAME).read_bytes()) > int(before)
