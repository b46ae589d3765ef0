"""Clauses kept in memory and on disk, within their bounds and readable by their owner only."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest

from services.tts.engines.kokoro.clause_cache import ClauseCache, key_of
from services.tts.neural.clause import Clause
from services.tts.timing import Sound

SECOND = 24_000


def clause(seconds: float = 1.0, level: int = 7) -> Clause:
    count = round(seconds * SECOND)
    sounds = (Sound("", 0, 0, 0, 600), Sound("aɪ", 2, 3, 600, count))
    return Clause(np.full(count, level, np.int16), sounds)


def cache(folder: Path, *, max_bytes: int = 10**6, max_disk_bytes: int = 0) -> ClauseCache:
    return ClauseCache(max_bytes=max_bytes, folder=folder, max_disk_bytes=max_disk_bytes)


def assert_same(found: Clause | None, expected: Clause) -> None:
    assert found is not None
    assert found.sounds == expected.sounds
    assert np.array_equal(found.samples, expected.samples)


def test_the_clause_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    kept = cache(tmp_path, max_bytes=3 * 50_000)
    for key in ("a", "b", "c"):
        kept.put(key, clause())
    assert kept.get("a") is not None
    kept.put("d", clause())
    assert kept.get("b") is None
    assert_same(kept.get("a"), clause())
    kept.put("a", clause(level=8))
    assert_same(kept.get("a"), clause(level=8))
    kept.put("huge", clause(seconds=20))
    assert kept.get("huge") is None
    assert not list(tmp_path.iterdir())


def test_without_memory_nothing_is_kept(tmp_path: Path) -> None:
    kept = cache(tmp_path, max_bytes=0)
    kept.put("a", clause())
    assert kept.get("a") is None


def test_clauses_outlive_a_restart_if_wanted(tmp_path: Path) -> None:
    folder = tmp_path / "clauses"
    cache(folder, max_disk_bytes=10**6).put("a", clause())
    assert_same(cache(folder, max_disk_bytes=10**6).get("a"), clause())
    assert cache(folder).get("a") is None
    (path,) = folder.glob("*.clause")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_disk_is_bounded_too(tmp_path: Path) -> None:
    kept = cache(tmp_path, max_bytes=0, max_disk_bytes=2 * 50_000)
    for key in ("a", "b", "c"):
        kept.put(key, clause())
    assert {path.stem for path in tmp_path.glob("*.clause")} == {"b", "c"}
    assert kept.get("b") is not None
    kept.put("d", clause())
    assert {path.stem for path in tmp_path.glob("*.clause")} == {"b", "d"}


@pytest.mark.parametrize("content", [b"", b"[]\n", b"[[1]]\n12", b"{\n", b'[["a",0,0,0,9]]\n1234'])
def test_a_damaged_file_is_removed(tmp_path: Path, content: bytes) -> None:
    cache(tmp_path, max_disk_bytes=10**6).put("a", clause())
    (tmp_path / "a.clause").write_bytes(content)
    assert cache(tmp_path, max_disk_bytes=10**6).get("a") is None
    assert not (tmp_path / "a.clause").exists()


def test_how_often_clauses_are_said_again_is_remembered(tmp_path: Path) -> None:
    kept = cache(tmp_path, max_disk_bytes=10**6)
    kept.put("a", clause())
    for _ in range(10):
        kept.get("a")
    assert kept.share == 0, "too few to say"
    for _ in range(50):
        kept.get("a")
    for number in range(20):
        kept.get(f"other {number}")
    kept.close()
    assert cache(tmp_path, max_disk_bytes=10**6).share == pytest.approx(60 / 80)
    (tmp_path / "uses.json").write_text("?")
    assert cache(tmp_path, max_disk_bytes=10**6).share == 0


def test_a_key_depends_on_every_part() -> None:
    keys = {key_of("a", 1), key_of("a", 2), key_of("b", 1), key_of("a1"), key_of("a", "1")}
    assert len(keys) == 5
    assert all(len(key) == 64 and key.isalnum() for key in keys)
