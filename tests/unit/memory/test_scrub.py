"""Erasing holds nobody up, and the files are rid of what was erased while others write."""

import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memory.erasure import chunks
from memory.erasure.chunks import erase_user, hidden_users
from memory.erasure.scrubbing import Scrubbing
from memory.facts.ledger import FactLedger
from memory.service.faults import StoreError
from memory.sqlite.encryption import Key
from memory.sqlite.live_copy import LiveCopy
from memory.sqlite.store import Store
from tests.unit.memory.items import MODEL_ID, make_item
from text.facts.extraction import findings

SAID = ["I like tea.", "I live in Graz.", "I moved to Wien.", "My dog is called Rex.", "No."]


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def dump(store: Store) -> dict[str, list[Any]]:
    """Everything that is in the tables, in the order of the keys."""
    with store.reading() as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table'"
            " AND name NOT IN ('scrub', 'commit_count') ORDER BY name"
        ).fetchall()
        held = {
            name: sorted(map(tuple, connection.execute(f'SELECT * FROM "{name}"').fetchall()))
            for (name,) in names
        }
        held["schema"] = sorted(
            connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
        )
        return held


class Life:
    """Random calls to a store."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.chance = random.Random(seed)
        self.ledger = FactLedger(store)
        self.count = 0

    def step(self) -> None:
        user = f"owner{self.chance.randrange(5)}"
        choice = self.chance.random()
        if choice < 0.55:
            items = []
            for _ in range(self.chance.randrange(1, 8)):
                self.count += 1
                text = self.chance.choice(SAID) + "z" * self.chance.choice([0, 50, 900, 7000])
                items.append(make_item(f"id{self.count}", text, session_id="s"))
            vectors = np.random.default_rng(self.count).random((len(items), 64), dtype=np.float32)
            self.store.add(user, items, list(vectors), MODEL_ID)
        elif choice < 0.7:
            for unread in self.ledger.undistilled(5):
                found = findings(unread.item.text)
                self.ledger.apply(unread, found, [None] * len(found), MODEL_ID)
        elif choice < 0.9:
            rows = self.store.slice(user, after=None, limit=50, newest_first=False)
            ids = [item.item_id for _, item in rows]
            self.store.forget_items(user, self.chance.sample(ids, min(len(ids), 3)) or ["none"])
        else:
            erase_user(self.store, user)


@contextmanager
def during_the_copy(monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> Iterator[None]:
    """Does something when the copy of the snapshot is written."""
    write = LiveCopy.write

    def write_then_work(copy: LiveCopy, source: Path) -> None:
        write(copy, source)
        work()

    with monkeypatch.context() as patched:
        patched.setattr(LiveCopy, "write", write_then_work)
        yield


@pytest.mark.parametrize("key", [None, Key("ab" * 32)], ids=["plain", "encrypted"])
@pytest.mark.parametrize("seed", range(4))
def test_scrub_keeps_everything_that_others_do_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, key: Key | None
) -> None:
    store = Store(tmp_path, synchronous="normal", key=key)
    life = Life(store, seed)
    for _ in range(40):
        life.step()
    expected: dict[str, list[Any]] = {}

    def go_on() -> None:
        for _ in range(40):
            life.step()
        expected.update(dump(store))

    with during_the_copy(monkeypatch, go_on):
        store.scrub()
    assert dump(store) == expected
    for _ in range(20):
        life.step()
    with store.reading() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    store.close()
    Store(tmp_path, key=key).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "memory.commits",
        "memory.db",
        "memory.lock",
    ]
    assert (tmp_path / "memory.db").stat().st_mode & 0o077 == 0


def test_writers_and_readers_in_threads_go_on_during_scrubs(tmp_path: Path) -> None:
    store = Store(tmp_path, synchronous="normal")
    store.add("big", [make_item(f"i{n}", "x" * 2_000) for n in range(2_000)], [None] * 2_000, "")
    done = threading.Event()

    def write(writer: int) -> int:
        count = 0
        while not done.is_set():
            store.add(f"user{writer}", [make_item(f"{count}", f"text {count}")], [None], "")
            count += 1
            assert store.count(f"user{writer}") == count
        return count

    with ThreadPoolExecutor(4) as pool:
        writing: list[Future[int]] = [pool.submit(write, number) for number in range(4)]
        for _ in range(5):
            store.forget_items("big", ["i0"])
            store.scrub()
        done.set()
        counts = [future.result() for future in writing]
    assert [store.count(f"user{number}") for number in range(4)] == counts
    assert all(counts)
    assert store.erasures_to_scrub() == 0
    store.close()


def test_nobody_waits_for_the_copy_of_a_scrub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.add("u", [make_item("a", "one secret"), make_item("b", "two")], [None, None], "")
    store.forget_items("u", ["a"])

    def others() -> None:
        # In the thread of the scrub itself: a lock that it held would stop the test for ever.
        store.add("v", [make_item("c", "three")], [None], "")
        assert store.forget_items("v", ["c"]) == 1
        assert store.count("u") == 1

    with during_the_copy(monkeypatch, others):
        store.scrub()
    assert b"one secret" not in bytes_of(tmp_path)
    # What was erased meanwhile is for the next scrub.
    assert store.erasures_to_scrub() == 1
    store.scrub()
    assert store.erasures_to_scrub() == 0
    store.close()


def test_erasures_are_scrubbed_by_the_next_process(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("u", [make_item("a", "secret")], [None], "")
    erase_user(store, "u")
    store.close()
    store = Store(tmp_path)
    assert store.erasures_to_scrub() > 0
    Scrubbing(store).work()
    assert store.erasures_to_scrub() == 0
    store.close()


def test_scrub_that_is_cut_off_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.add("u", [make_item("a", "secret"), make_item("b", "kept")], [None, None], "")
    store.forget_items("u", ["a"])
    before = dump(store)

    def fail() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with (
        during_the_copy(monkeypatch, fail),
        pytest.raises(sqlite3.OperationalError, match="disk is full"),
    ):
        store.scrub()
    assert dump(store) == before
    assert sorted(path.name for path in tmp_path.glob("*.new*")) == []
    store.add("u", [make_item("c", "more")], [None], "")
    # A crash leaves the copy behind.
    (tmp_path / "memory.db.new").write_bytes(b"secret")
    store.close()
    store = Store(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.new*")) == []
    store.scrub()
    assert store.count("u") == 2
    store.close()


def test_scrub_gives_way_to_the_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.add("u", [make_item("a", "text")], [None], "")
    store.forget_items("u", ["a"])
    writing, closing = threading.Event(), threading.Event()
    interrupt = LiveCopy.interrupt

    def interrupted(copy: LiveCopy) -> None:
        interrupt(copy)
        closing.set()

    def wait() -> None:
        writing.set()
        closing.wait(20)

    with ThreadPoolExecutor(2) as pool, during_the_copy(monkeypatch, wait):
        monkeypatch.setattr(LiveCopy, "interrupt", interrupted)
        scrub = pool.submit(store.scrub)
        writing.wait(20)
        pool.submit(store.close).result()
        assert isinstance(scrub.exception(), sqlite3.Error)
    store = Store(tmp_path)
    assert store.erasures_to_scrub() == 1
    store.close()


def test_database_that_another_program_has_open_is_not_replaced(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("u", [make_item("a", "text")], [None], "")
    store.forget_items("u", ["a"])
    other = sqlite3.connect(tmp_path / "memory.db")
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM item").fetchone()
    store.add("u", [make_item("b", "text")], [None], "")
    with pytest.raises(StoreError, match="is open in another program"):
        store.scrub()
    store.add("u", [make_item("c", "text")], [None], "")
    other.close()
    store.scrub()
    assert store.count("u") == 2
    store.close()


def test_erased_user_vanishes_at_once_and_others_write_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, synchronous="normal")
    items = [make_item(f"i{n}", f"text {n}") for n in range(3_000)]
    store.add("big", items, [None] * len(items), "")
    seen: list[tuple[int, int]] = []

    def breathe() -> None:
        number = len(seen)
        store.add("big", [make_item(f"new{number}", "said afterwards")], [None], "")
        with store.reading() as connection:
            (left,) = connection.execute("SELECT count(*) FROM item").fetchone()
        seen.append((store.count("big"), left))

    monkeypatch.setattr(chunks, "_breathe", breathe)
    assert erase_user(store, "big") == 3_000
    assert len(seen) == 6
    assert [count for count, _ in seen] == list(range(1, 7))
    lefts = [left for _, left in seen]
    assert lefts == sorted(lefts, reverse=True)
    assert store.count("big") == 6
    assert hidden_users(store) == []
    store.close()


def test_erasure_that_a_crash_cut_off_is_ended_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, synchronous="normal")
    items = [make_item(f"i{n}", f"secret {n}") for n in range(1_200)]
    store.add("ada", items, [None] * len(items), "")

    def die() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(chunks, "_breathe", die)
        with pytest.raises(KeyboardInterrupt):
            erase_user(store, "ada")
    assert store.user_state("ada") is None
    assert len(hidden_users(store)) == 1
    store.close()
    store = Store(tmp_path)
    Scrubbing(store).work()
    assert hidden_users(store) == []
    assert b"secret" not in bytes_of(tmp_path)
    store.close()


@pytest.mark.process
def test_nothing_acknowledged_is_lost_when_the_process_is_killed_in_a_scrub(tmp_path: Path) -> None:
    chance = random.Random(1)
    acknowledged: list[int] = []
    for _ in range(4):
        first = acknowledged[-1] + 2 if acknowledged else 0
        command = [sys.executable, "-m", "tests.unit.memory.scrubbing_writer"]
        command += [str(tmp_path), str(first)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = (process.stdout.readline() for _ in range(chance.randrange(20, 200)))
            acknowledged += [int(line) for line in lines]
            process.kill()
            # A line that was cut off was written, but not acknowledged.
            acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
    store = Store(tmp_path)
    rows = store.slice("u", after=None, limit=100_000, newest_first=False)
    assert {int(item.item_id) for _, item in rows} >= set(acknowledged)
    with store.reading() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    store.close()
