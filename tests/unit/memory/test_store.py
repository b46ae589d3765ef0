import random
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from memory.erasure.chunks import erase_user
from memory.sqlite.gate import Gate
from memory.sqlite.migrations import MIGRATIONS
from memory.sqlite.schema import StoreError
from memory.sqlite.store import Store
from tests.unit.memory.items import MODEL_ID, WordEmbedder, make_item


def texts_of(store: Store, user_id: str) -> list[str]:
    rows = store.slice(user_id, after=None, limit=10_000, newest_first=False)
    return [item.text for _, item in rows]


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_items_and_vectors_survive_a_reopening(tmp_path: Path) -> None:
    item = make_item("a", "Grüße 你好", session_id="s")
    vector = WordEmbedder().embed([item.text])[0]
    store = Store(tmp_path)
    store.add("u", [item], [vector], MODEL_ID)
    store.close()
    store = Store(tmp_path)
    state = store.user_state("u")
    assert state is not None
    (row,) = store.index_rows(state, 0, MODEL_ID)
    assert store.items([row.row_id]) == {row.row_id: item}
    assert row.vector is not None
    np.testing.assert_array_equal(row.vector, vector)
    (other,) = store.index_rows(state, 0, "another model")
    assert other.vector is None
    store.close()


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path, synchronous="normal")

    def write(writer: int) -> None:
        for number in range(50):
            items = [make_item(f"{writer}-{number}-{k}", f"text {writer} {number}") for k in (0, 1)]
            store.add(f"user{writer % 3}", items, [None, None], "")
            assert len(texts_of(store, f"user{writer % 3}")) >= 2 * (number + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert [store.count(f"user{n}") for n in range(3)] == [300, 300, 200]
    store.close()


def test_a_thread_that_outlives_its_task_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    reading, closing = threading.Event(), threading.Event()
    close = Gate.close

    def closed(gate: Gate) -> None:
        closing.set()
        close(gate)

    def read() -> None:
        with store.reading() as connection:
            reading.set()
            assert closing.wait(30)
            connection.execute("SELECT 1")

    monkeypatch.setattr(Gate, "close", closed)
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        assert reading.wait(30)
        store.close()
        reader.result()
    late_calls: list[Callable[[], object]] = [
        store.erasures_to_scrub,
        store.scrub,
        lambda: erase_user(store, "u"),
    ]
    for late in late_calls:
        with pytest.raises(StoreError, match="closed"):
            late()
    # SQLite removes the log when the last connection is closed.
    assert [path.name for path in tmp_path.glob("*-wal")] == []


def test_a_batch_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("u", [make_item("a", "first")], [None], "")
    broken = make_item("c", "x", created_unix_ms=2**70)
    with pytest.raises(OverflowError):
        store.add("u", [make_item("b", "second"), broken], [None, None], "")
    assert texts_of(store, "u") == ["first"]
    store.add("u", [make_item("b", "second")], [None], "")
    assert texts_of(store, "u") == ["first", "second"]
    store.close()


def test_vectors_of_erased_rows_are_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("u", [make_item("a", "one"), make_item("b", "two")], [None, None], "")
    assert store.users_without_vectors(MODEL_ID) == ["u"]
    state = store.user_state("u")
    assert state is not None
    rows = store.index_rows(state, 0, MODEL_ID)
    store.forget_items("u", ["a"])
    vectors = WordEmbedder().embed(["one", "two"])
    store.put_vectors("u", [(r.row_id, v) for r, v in zip(rows, vectors, strict=True)], MODEL_ID)
    store.raise_revision("u")
    after = store.user_state("u")
    assert after is not None
    assert after.revision > state.revision
    (row,) = store.index_rows(after, 0, MODEL_ID)
    assert (row.text, row.vector is not None) == ("two", True)
    assert store.users_without_vectors(MODEL_ID) == []
    store.close()


def erased_and_held(store: Store, chance: random.Random) -> tuple[set[str], set[str]]:
    """Stores and erases at random; returns the ids of erased and of remaining items."""
    held: dict[str, str] = {}
    erased: set[str] = set()
    count = 0
    for _ in range(150):
        user = f"owner{chance.randrange(6)}"
        mine = [item_id for item_id, owner in held.items() if owner == user]
        if chance.random() < 0.6 or not mine:
            items = []
            for _ in range(chance.randrange(1, 12)):
                count += 1
                filler = "z" * chance.choice([0, 5, 50, 300, 900, 2500, 7000])
                items.append(make_item(f"id{count:06}x", f"<text{count:06}>{filler}"))
            vectors = np.random.default_rng(count).random((len(items), 384), dtype=np.float32)
            store.add(user, items, list(vectors), MODEL_ID)
            held |= {item.item_id: user for item in items}
            continue
        if chance.random() < 0.15:
            assert erase_user(store, user) == len(mine)
        else:
            mine = chance.sample(mine, min(len(mine), chance.randrange(1, 8)))
            assert store.forget_items(user, mine) == len(mine)
        erased |= set(mine)
        held = {item_id: owner for item_id, owner in held.items() if item_id not in erased}
    return erased, set(held)


# With these seeds `secure_delete` alone leaves erased texts in the gaps of pages (SQLite 3.40).
@pytest.mark.parametrize("seed", [35, 40, 58])
def test_nothing_of_what_was_erased_stays_in_the_files(tmp_path: Path, seed: int) -> None:
    store = Store(tmp_path, synchronous="normal")
    erased, held = erased_and_held(store, random.Random(seed))
    store.scrub()
    content = bytes_of(tmp_path)
    assert [item_id for item_id in erased if item_id.encode() in content] == []
    assert [i for i in erased if f"<text{i[2:8]}>".encode() in content] == []
    assert [item_id for item_id in held if item_id.encode() not in content] == []
    for user in range(6):
        erase_user(store, f"owner{user}")
    store.scrub()
    for trace in (b"<text", b"id0", b"owner"):
        assert trace not in bytes_of(tmp_path)
    store.close()


def test_scrub_waits_for_readers_and_leaves_no_log(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("u", [make_item("a", "secret text")], [None], "")
    with ThreadPoolExecutor(4) as pool:
        readings = [pool.submit(texts_of, store, "u") for _ in range(200)]
        assert store.forget_items("u", ["a"]) == 1
        store.scrub()
        for reading in readings:
            assert reading.result() in (["secret text"], [])
    assert b"secret text" not in bytes_of(tmp_path)
    store.close()


def test_two_services_do_not_share_a_database(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="used by another memory service"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "memory.db").write_bytes(b"this is not a database, " * 500)
    with pytest.raises(StoreError, match=r"memory\.db is damaged .*put back a copy"):
        Store(tmp_path)


def test_a_damaged_page_is_found_at_the_start(tmp_path: Path) -> None:
    store = Store(tmp_path)
    items = [make_item(f"i{n}", f"text {n} " * 50) for n in range(100)]
    store.add("u", items, [None] * 100, "")
    store.close()
    path = tmp_path / "memory.db"
    content = bytearray(path.read_bytes())
    content[4096 * 8 : 4096 * 20] = bytes(range(256)) * (4096 * 12 // 256)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"memory\.db is damaged"):
        Store(tmp_path)


def test_a_database_of_another_version_is_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "memory.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    known = f"has version 99 of the tables, this program supports {len(MIGRATIONS)}"
    with pytest.raises(StoreError, match=known):
        Store(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(StoreError, match="file/memory cannot be written: Not a directory"):
        Store(tmp_path / "file" / "memory")


def test_others_on_the_machine_may_not_read(tmp_path: Path) -> None:
    Store(tmp_path / "memory").close()
    assert (tmp_path / "memory").stat().st_mode & 0o077 == 0
    assert (tmp_path / "memory" / "memory.db").stat().st_mode & 0o077 == 0
