from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from memory.erasure.chunks import erase_user
from memory.postgres import moving
from memory.postgres.store import PostgresStore
from memory.sqlite.schema import StoreError
from memory.sqlite.store import Store
from tests.unit.memory.items import MODEL_ID, make_item
from tests.unit.memory.postgres.test_congruence import EMBEDDER, SAID, Side

NewDatabase = Callable[[], str]
USERS = 5


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "memory", synchronous="normal")
    for user in range(USERS):
        texts = [f"{SAID[n % 4]} word{n} 北京" for n in range(30)]
        items = [make_item(f"i{n}", text, session_id=f"s{n % 3}") for n, text in enumerate(texts)]
        store.add(f"u{user}", items, list(EMBEDDER.embed(texts)), MODEL_ID)
    Side(store).distil()
    erase_user(store, f"u{USERS - 1}")  # the highest ids are gone, and must stay gone
    yield store
    store.close()


def no_progress(table: str, done: int, total: int) -> None:
    pass


def answers(store: Store | PostgresStore) -> list[object]:
    side = Side(store)
    return [side.answers(f"u{user}", "word7 北京 Graz") for user in range(USERS)]


def test_everything_moves_with_its_ids(source: Store, new_postgres_database: NewDatabase) -> None:
    target = PostgresStore(new_postgres_database(), connections=2)
    told: dict[str, tuple[int, int]] = {}
    moved = moving.move(source, target, lambda t, done, total: told.update({t: (done, total)}))
    rows = {one.table: one.rows for one in moved}
    assert rows["user"] == USERS - 1
    assert rows["item"] == source_count(source)
    assert rows["fact"] > 0
    assert rows["fact_source"] > 0
    assert told["item"] == (rows["item"], rows["item"])
    assert answers(source) == answers(target)
    # No id is used twice, not even ids of rows that were erased before the move.
    with source.reading() as connection:
        (last,) = connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'item'"
        ).fetchone()
    target.add("new", [make_item("a", "x")], [None], "")
    state = target.user_state("new")
    assert state is not None
    assert target.index_rows(state, 0, "")[0].row_id == last + 1
    target.close()


def source_count(source: Store) -> int:
    return sum(source.count(f"u{user}") for user in range(USERS))


def test_a_move_that_was_cut_off_goes_on(
    source: Store, new_postgres_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "_PART", 7)
    target = PostgresStore(new_postgres_database(), connections=2)
    copied: list[int] = []

    def cut(table: str, done: int, total: int) -> None:
        if table == "vec" and done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moving.move(source, target, cut)

    def count(table: str, done: int, total: int) -> None:
        if table == "vec":
            copied.append(done)

    moving.move(source, target, count)
    assert copied[0] == 21
    assert answers(source) == answers(target)
    moving.move(source, target, no_progress)  # once more changes nothing
    assert answers(source) == answers(target)
    target.close()


def test_a_database_that_holds_something_else_is_refused(
    source: Store, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    target = PostgresStore(new_postgres_database(), connections=2)
    target.add("other", [make_item("a", "x")], [None], "")
    with pytest.raises(StoreError, match="already contains memories"):
        moving.move(source, target, no_progress)
    erase_user(target, "other")
    moving.move(source, target, no_progress)
    another = Store(tmp_path / "another")
    with pytest.raises(StoreError, match="filled from another store"):
        moving.move(another, target, no_progress)
    another.close()
    target.forget_items("u0", ["i3"])
    with pytest.raises(StoreError, match=r"user: \d+ rows here and \d+ in postgresql:.* differ"):
        moving.move(source, target, no_progress)
    target.close()


def test_the_command_moves_and_says_what(
    source: Store, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    address = new_postgres_database()
    arguments = ["memory", "migrate", "--from", str(tmp_path), "--to", address]
    runner = CliRunner(env={"COLUMNS": "300"})
    busy = runner.invoke(app, arguments)
    assert busy.exit_code == 1
    assert "used by another memory service" in busy.output
    source.close()
    done = runner.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "ANIMA_MEMORY_ENGINE=postgres" in done.output
    store = PostgresStore(address, connections=1)
    assert store.count("u0") > 30
    store.close()
    nothing = runner.invoke(app, ["memory", "migrate", "--from", "/tmp", "--to", address])
    assert nothing.exit_code == 1
    assert "has no memory.db" in nothing.output
