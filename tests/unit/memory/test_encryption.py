"""The database encrypted: no plain text in any file, and no start without the right key."""

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from cli.main import app
from memory.settings import MemorySettings
from memory.sqlite.encryption import Key, read_key, write_new_key
from memory.sqlite.engine import SqliteMemory
from memory.sqlite.reencryption import reencrypt
from memory.sqlite.schema import StoreError
from memory.sqlite.store import Store
from services.runtime.config.settings import SettingsError
from tests.unit.memory.items import MODEL_ID, make_item
from tests.unit.memory.test_store import bytes_of, texts_of
from text.facts.extraction import EXTRACTOR

DIGITS = "0123456789abcdef" * 4
KEY, OTHER = Key(DIGITS), Key("f0" * 32)
SECRET = "My dog Rex sleeps in Graz"


def filled(folder: Path, key: Key | None) -> Store:
    store = Store(folder, key=key)
    items = [make_item(f"known-id-{n}", f"{SECRET} {n}") for n in range(50)]
    vectors = list(np.full((50, 64), 0.125, dtype=np.float32))
    store.add("anna-the-user", items, vectors, MODEL_ID, distilled_by=EXTRACTOR)
    return store


def test_no_file_holds_plain_text_and_everything_is_read_back(tmp_path: Path) -> None:
    traces = (SECRET.encode(), b"known-id-", b"anna-the-user", b"CREATE TABLE", b"\0\0\0\x3e" * 8)
    plain = filled(tmp_path / "plain", None)
    content = bytes_of(tmp_path / "plain")
    assert all(trace in content for trace in traces)
    plain.close()
    store = filled(tmp_path / "coded", KEY)
    assert (tmp_path / "coded" / "memory.db-wal").stat().st_size > 0
    assert [trace for trace in traces if trace in bytes_of(tmp_path / "coded")] == []
    assert store.forget_items("anna-the-user", ["known-id-0"]) == 1
    store.close()
    assert [trace for trace in traces if trace in bytes_of(tmp_path / "coded")] == []
    store = Store(tmp_path / "coded", key=KEY)
    assert texts_of(store, "anna-the-user") == [f"{SECRET} {n}" for n in range(1, 50)]
    store.close()


def test_without_the_right_key_nothing_starts_and_nothing_changes(tmp_path: Path) -> None:
    filled(tmp_path, KEY).close()
    before = bytes_of(tmp_path)
    with pytest.raises(StoreError, match=r"cannot be read with this key: set the key"):
        Store(tmp_path, key=OTHER)
    with pytest.raises(StoreError, match=r"is encrypted and ANIMA_MEMORY_KEY_FILE is not set"):
        Store(tmp_path)
    assert bytes_of(tmp_path) == before
    filled(tmp_path / "plain", None).close()
    with pytest.raises(StoreError, match=r"is not encrypted, but a key is set: run anima memory"):
        Store(tmp_path / "plain", key=KEY)
    store = Store(tmp_path, key=KEY)
    assert store.count("anna-the-user") == 50
    store.close()


def test_a_single_changed_bit_is_noticed(tmp_path: Path) -> None:
    filled(tmp_path, KEY).close()
    path = tmp_path / "memory.db"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"memory\.db is damaged"):
        Store(tmp_path, key=KEY)


def test_errors_of_the_library_are_those_of_sqlite(tmp_path: Path) -> None:
    store = filled(tmp_path, KEY)
    (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError) as caught:
        store.add("u", [make_item(f"i{n}", "x" * 8000) for n in range(50)], [None] * 50, "")
    assert caught.value.sqlite_errorcode == sqlite3.SQLITE_FULL
    with pytest.raises(sqlite3.IntegrityError), store.transaction() as connection:
        connection.execute("INSERT INTO user (user_id) VALUES ('anna-the-user')")
    assert store.count("anna-the-user") == 50
    store.close()


@pytest.mark.parametrize(("old", "new"), [(None, KEY), (KEY, OTHER), (KEY, None)])
def test_a_store_changes_its_key_and_keeps_everything(
    tmp_path: Path, old: Key | None, new: Key | None
) -> None:
    store = filled(tmp_path, old)
    store.forget_items("anna-the-user", ["known-id-49"])  # its row id must stay unused
    state = store.user_state("anna-the-user")
    assert state is not None
    rows = store.index_rows(state, 0, MODEL_ID)
    store.close()
    with (tmp_path / "memory.db").open("rb") as held_open:
        assert reencrypt(tmp_path, old, new) == 49
        # The previous content is overwritten, not only unlinked.
        assert not any(held_open.read())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "memory.commits",
        "memory.db",
        "memory.lock",
    ]
    assert (tmp_path / "memory.db").stat().st_mode & 0o077 == 0
    assert (SECRET.encode() in bytes_of(tmp_path)) == (new is None)
    store = Store(tmp_path, key=new)
    after = store.index_rows(state, 0, MODEL_ID)
    assert [(r.row_id, r.text) for r in after] == [(r.row_id, r.text) for r in rows]
    np.testing.assert_array_equal(
        np.stack([r.vector for r in after if r.vector is not None]),
        np.stack([r.vector for r in rows if r.vector is not None]),
    )
    store.add("anna-the-user", [make_item("new", "new")], [None], "")
    assert store.index_rows(state, 0, MODEL_ID)[-1].row_id == rows[-1].row_id + 2
    store.close()


def test_a_conversion_that_cannot_be_done_changes_nothing(tmp_path: Path) -> None:
    store = filled(tmp_path, KEY)
    with pytest.raises(StoreError, match="used by another memory service"):
        reencrypt(tmp_path, KEY, OTHER)
    store.close()
    before = (tmp_path / "memory.db").read_bytes()
    with pytest.raises(StoreError, match="cannot be read with this key"):
        reencrypt(tmp_path, OTHER, KEY)
    with pytest.raises(StoreError, match="contains no memory"):
        reencrypt(tmp_path / "nowhere", None, KEY)
    assert (tmp_path / "memory.db").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "memory.commits",
        "memory.db",
        "memory.lock",
    ]


async def test_the_service_takes_the_key_of_a_file_and_never_tells_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{DIGITS}\n", encoding="ascii")
    settings = MemorySettings.from_environment(
        {"ANIMA_MEMORY_KEY_FILE": str(path), "ANIMA_DATA_DIR": str(tmp_path)},
        embedding_model="none",
    )
    with capture_logs() as logs:
        engine = SqliteMemory(settings)
        await engine.open()
        await engine.remember("u", [make_item("a", SECRET)])
        found = await engine.recall(
            "u", "Where does my dog sleep?", max_items=5, min_score=0.0, exclude_session_id=""
        )
        await engine.close()
    assert found.items[0].item.text == SECRET
    assert SECRET.encode() not in bytes_of(tmp_path / "memory")
    wrong = MemorySettings(data_dir=tmp_path, embedding_model="none", key="ab" * 32)
    with pytest.raises(SettingsError, match="cannot be read with this key") as refused:
        await SqliteMemory(wrong).open()
    for told in (repr(settings), repr(wrong), repr(KEY), str(logs), str(refused.value)):
        assert DIGITS not in told
        assert "abab" not in told


def test_what_is_no_key_is_refused_without_telling_it(tmp_path: Path) -> None:
    short = DIGITS[:-2]
    for environment in (
        {"ANIMA_MEMORY_KEY": short},
        {"ANIMA_MEMORY_KEY": DIGITS, "ANIMA_MEMORY_KEY_FILE": "x"},
        {"ANIMA_MEMORY_KEY_FILE": str(tmp_path / "missing")},
        {
            "ANIMA_MEMORY_KEY": DIGITS,
            "ANIMA_MEMORY_ENGINE": "postgres",
            "ANIMA_MEMORY_POSTGRES": "postgresql://h/n",
        },
    ):
        with pytest.raises(SettingsError, match=r"(?i)key") as refused:
            MemorySettings.from_environment(environment)
        assert short not in str(refused.value)


def test_the_commands_make_a_key_encrypt_and_change_it(tmp_path: Path) -> None:
    filled(tmp_path / "memory", None).close()
    first, second = tmp_path / "first.key", tmp_path / "second.key"
    for path in (first, second):
        made = CliRunner().invoke(app, ["memory", "new-key", str(path)])
        assert made.exit_code == 0, made.output
        assert path.stat().st_mode & 0o077 == 0
    assert read_key(first) != read_key(second)
    again = CliRunner().invoke(app, ["memory", "new-key", str(first)])
    assert again.exit_code == 1
    environment = {"ANIMA_DATA_DIR": str(tmp_path), "COLUMNS": "300"}
    for present, new in ((None, first), (first, second)):
        key = {} if present is None else {"ANIMA_MEMORY_KEY_FILE": str(present)}
        done = CliRunner(env=environment | key).invoke(
            app, ["memory", "encrypt", "--new-key-file", str(new)]
        )
        assert done.exit_code == 0, done.output
        assert "50 items" in done.output
    wrong = CliRunner(env=environment | {"ANIMA_MEMORY_KEY_FILE": str(first)}).invoke(
        app, ["memory", "encrypt", "--plain"]
    )
    assert wrong.exit_code == 1
    assert "Nothing was changed" in wrong.output
    store = Store(tmp_path / "memory", key=read_key(second))
    assert store.count("anna-the-user") == 50
    store.close()


def test_a_new_key_is_never_written_over_an_old_one(tmp_path: Path) -> None:
    write_new_key(tmp_path / "key")
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(FileExistsError):
        write_new_key(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == before
    shutil.copy(tmp_path / "key", tmp_path / "copy")
    assert read_key(tmp_path / "copy") == read_key(tmp_path / "key")
