"""The logs of a mesh: rotated at its start and by size, and read from their end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cli.mesh.logs import KEPT, LogFile


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_each_start_begins_a_new_log_and_few_old_ones_are_kept(tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        log = LogFile(tmp_path, "tts")
        log.begin()
        with log.open() as file:
            file.write(f"start {number}\n".encode())
    assert names(tmp_path) == ["tts.log", "tts.log.1", "tts.log.2", "tts.log.3"]
    assert (tmp_path / "tts.log").read_text() == "start 5\n"
    assert (tmp_path / "tts.log.3").read_text() == "start 2\n"


def test_an_empty_log_is_not_kept(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "new", "tts")
    for _ in range(3):
        log.begin()
        log.open().close()
    assert names(tmp_path / "new") == ["tts.log"]


def test_a_log_that_is_written_to_stays_bounded(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "tts", max_bytes=1_000)
    log.begin()
    with log.open() as file:
        for number in range(100):
            file.write(b"x" * 99 + b"\n")
            file.flush()
            log.limit()
            assert log.path.stat().st_size <= 1_100, number
        file.write(b"the last line\n")
    assert len(names(tmp_path)) == KEPT + 1
    assert log.tail(1) == "the last line"
    assert "\0" not in log.path.read_text()


WRITER = """
import os
line = b"x" * 99 + bytes([10])
while True:
    os.write(1, line)
"""


def test_a_log_into_which_a_process_writes_without_end_is_rotated(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "gateway", max_bytes=100_000)
    log.begin()
    with (
        log.open() as file,
        subprocess.Popen([sys.executable, "-c", WRITER], stdout=file) as process,
    ):
        try:
            for _ in range(KEPT + 2):
                while log.path.stat().st_size <= 100_000:
                    assert process.poll() is None
                log.limit()
                older = tmp_path / "gateway.log.1"
                assert 100_000 <= older.stat().st_size <= 200_000
        finally:
            process.kill()
    assert len(names(tmp_path)) == KEPT + 1


def test_of_a_log_that_has_grown_far_beyond_its_limit_the_end_is_kept(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "gateway", max_bytes=1_000)
    log.begin()
    with log.open() as file:
        file.write(b"a" * 50_000 + b"the end")
        file.flush()
        log.limit()
    older = tmp_path / "gateway.log.1"
    assert older.stat().st_size == 2_000
    assert older.read_bytes().endswith(b"the end")
    assert older.stat().st_mode & 0o077 == 0


def test_the_tail_says_what_structured_lines_say(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "tts")
    assert log.tail(3) == ""
    log.path.write_text(
        'anima tts: plain\n{"event": "ready", "level": "info"}\n'
        '{"event": "warm-up failed", "message": "model x is missing"}\n[1]\n'
    )
    assert log.tail(4) == "anima tts: plain\nready\nmodel x is missing\n[1]"


def test_only_the_end_of_a_large_log_is_read(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "tts")
    log.path.write_bytes(b"a" * 10_000_000 + b"\nthe end\n")
    assert log.tail(2).endswith("the end")
    assert len(log.tail(2)) < 100_000
