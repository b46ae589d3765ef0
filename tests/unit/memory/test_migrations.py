"""Migrations from the tables of every release to the current ones."""

import sqlite3
from pathlib import Path

import pytest

from memory.sqlite.migrations import MIGRATIONS
from memory.sqlite.schema import StoreError, connect, prepare
from memory.sqlite.store import Store
from tests.unit.memory.items import MODEL_ID, WordEmbedder, make_item

# As the first release, 0.1.0, made them.
FIRST_RELEASE = """
CREATE TABLE user (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE item (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user INTEGER NOT NULL REFERENCES user ON DELETE CASCADE,
    item_id TEXT NOT NULL, kind INTEGER NOT NULL, speaker INTEGER NOT NULL, text TEXT NOT NULL,
    session_id TEXT NOT NULL, turn_id TEXT NOT NULL, created_unix_ms INTEGER NOT NULL,
    UNIQUE (user, item_id)
) STRICT;
CREATE INDEX item_by_row ON item (user, id);
CREATE INDEX item_by_time ON item (user, created_unix_ms, id);
CREATE TABLE vec (
    item INTEGER PRIMARY KEY REFERENCES item ON DELETE CASCADE, model_id TEXT NOT NULL,
    dimensions INTEGER NOT NULL, vector BLOB NOT NULL
) STRICT;
PRAGMA user_version = 1;
"""


def tables_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    connection = sqlite3.connect(path)
    names = [r[0] for r in connection.execute("SELECT name FROM sqlite_schema WHERE type='table'")]
    columns = {n: connection.execute(f"PRAGMA table_xinfo({n})").fetchall() for n in names}
    connection.close()
    return columns


def first_release(folder: Path) -> Path:
    path = folder / "memory.db"
    connection = sqlite3.connect(path)
    connection.executescript(FIRST_RELEASE)
    connection.execute("INSERT INTO user (user_id) VALUES ('u')")
    connection.execute(
        "INSERT INTO item (user, item_id, kind, speaker, text, session_id, turn_id,"
        " created_unix_ms) VALUES (1, 'a', 1, 1, 'my dog is called Rex', 's', 't', 1000)"
    )
    vector = WordEmbedder().embed(["my dog is called Rex"])[0]
    connection.execute(
        "INSERT INTO vec VALUES (1, ?, ?, ?)", (MODEL_ID, len(vector), vector.tobytes())
    )
    connection.commit()
    connection.close()
    return path


def test_what_the_first_release_stored_is_held(tmp_path: Path) -> None:
    first_release(tmp_path)
    for _ in range(2):
        store = Store(tmp_path)
        state = store.user_state("u")
        assert state is not None
        row = store.index_rows(state, 0, MODEL_ID)[0]
        assert row.text == "my dog is called Rex"
        assert row.vector is not None
        store.add("u", [make_item("b", "new")], [None], "")
        assert store.count("u") == 2
        store.close()


def test_old_and_new_databases_have_the_same_tables(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    first_release(tmp_path / "old")
    Store(tmp_path / "old").close()
    Store(tmp_path / "new").close()
    assert tables_of(tmp_path / "old" / "memory.db") == tables_of(tmp_path / "new" / "memory.db")


def test_the_first_step_is_that_of_the_first_release(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "step.db")
    connection.executescript(MIGRATIONS[0])
    connection.close()
    assert tables_of(tmp_path / "step.db") == tables_of(first_release(tmp_path))


def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = first_release(tmp_path)
    before = tables_of(path)
    connection = connect(path, "full")
    with pytest.raises(sqlite3.OperationalError):
        prepare(connection, path, (MIGRATIONS[0], "CREATE TABLE a (x TEXT);\nSELECT nonsense;"))
    connection.close()
    assert tables_of(path) == before
    Store(tmp_path).close()


def test_a_database_made_by_other_steps_is_refused(tmp_path: Path) -> None:
    path = first_release(tmp_path)
    Store(tmp_path).close()
    connection = connect(path, "full")
    connection.execute("UPDATE migration SET sha256 = 'x' WHERE version = 2")
    with pytest.raises(StoreError, match="step 2 of its tables is not the one of this program"):
        prepare(connection, path)
    connection.close()


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "memory.db")
    connection.execute("CREATE TABLE theirs (x TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="is a database of something else"):
        Store(tmp_path)
