"""The check at start is bounded in time; the command checks everything."""

import sqlite3
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from cli.main import app
from memory.service.faults import StoreError
from memory.sqlite import checking
from memory.sqlite.checking import checked_in, faults
from memory.sqlite.encryption import Key
from memory.sqlite.store import Store
from tests.unit.memory.items import make_item

KEY = Key("ab" * 32)
KEYS = pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])


def filled(folder: Path, key: Key | None = None, *, count: int = 3_000) -> Path:
    store = Store(folder, synchronous="normal", key=key)
    items = [make_item(f"i{n}", f"text {n} " * 50) for n in range(count)]
    store.add("u", items, [None] * count, "")
    store.close()
    return folder / "memory.db"


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096 * 12] = bytes(range(256)) * (4096 * 12 // 256)
    path.write_bytes(content)


@KEYS
def test_check_that_takes_too_long_is_cut_off_and_logged(
    tmp_path: Path, key: Key | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(connection: sqlite3.Connection) -> str:
        numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
        return str(connection.execute(f"{numbers} SELECT max(x) FROM n").fetchone())

    filled(tmp_path, key)
    monkeypatch.setattr(checking, "_first_fault", endless)
    with capture_logs() as logs:
        store = Store(tmp_path, key=key, check_s=0.05)
    (warning,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert warning["event"] == "the check of the database ran out of time"
    # Nothing of the interruption is left for what follows.
    assert store.count("u") == 3_000
    store.close()


@KEYS
def test_damage_is_found_unless_the_check_is_switched_off(tmp_path: Path, key: Key | None) -> None:
    damage(filled(tmp_path, key))
    with pytest.raises(StoreError, match=r"memory\.db is damaged"):
        Store(tmp_path, key=key)
    Store(tmp_path, key=key, check_s=0).close()


def test_sound_database_of_any_size_starts_without_a_word(tmp_path: Path) -> None:
    filled(tmp_path)
    with capture_logs() as logs:
        Store(tmp_path).close()
    assert logs == []


def test_only_an_interruption_counts_as_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: sqlite3.Connection) -> str:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(checking, "_first_fault", fail)
    connection = sqlite3.connect(tmp_path / "x.db")
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        checked_in(connection, 5)
    connection.close()


def test_missing_references_are_faults(tmp_path: Path) -> None:
    path = filled(tmp_path, count=5)
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM user")
    connection.commit()
    assert faults(connection)[0].endswith("of item refers to a missing row of user")
    connection.close()


def test_command_checks_everything(tmp_path: Path) -> None:
    def check() -> tuple[int, str]:
        environment = {"ANIMA_DATA_DIR": str(tmp_path), "COLUMNS": "300"}
        done = CliRunner(env=environment).invoke(app, ["memory", "check"])
        return done.exit_code, done.output

    code, text = check()
    assert (code, "contains no memory.db" in text) == (1, True)
    path = filled(tmp_path / "memory")
    code, text = check()
    assert (code, "is sound" in text) == (0, True)
    store = Store(tmp_path / "memory")
    code, text = check()
    assert (code, "used by another memory service" in text) == (1, True)
    store.close()
    damage(path)
    code, text = check()
    assert (code, "memory.db is damaged" in text) == (1, True)
