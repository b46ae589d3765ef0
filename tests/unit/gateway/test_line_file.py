"""Recordings are written outside the event loop, and no disk error ends a conversation."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.session.line_file import LineFile
from gateway.session.recording import recording_file
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import conversation, run


def test_lines_are_written_in_order(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "deep" / "lines.jsonl")
    for number in range(1000):
        file.write(f"line {number}")
    file.close()
    file.join()
    written = (tmp_path / "deep" / "lines.jsonl").read_text().splitlines()
    assert written == [f"line {number}" for number in range(1000)]


def test_lines_are_written_by_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    really_open = Path.open

    def open_and_note(path: Path, *arguments: object, **options: object) -> object:
        threads.append(threading.current_thread())
        return really_open(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", open_and_note)

    async def main(stages: DirectStages) -> None:
        config = pb.ConverseConfig(session_id="s1")
        mesh = stages.mesh(turn_log_dir=str(tmp_path))
        async with conversation(mesh, config) as (session, said):
            await session.text("Hello?")
            await said.until_kind("turn_ended")

    run(main)
    assert threads
    assert threading.main_thread() not in threads


def test_sessions_with_one_id_have_files_of_their_own(tmp_path: Path) -> None:
    files = [recording_file(str(tmp_path), "s1") for _ in range(20)]
    for number, file in enumerate(files):
        file.write(str(number))
        file.close()
    for file in files:
        file.join()
    texts = [path.read_text() for path in tmp_path.iterdir()]
    assert sorted(texts, key=int) == [f"{number}\n" for number in range(20)]


def test_disk_that_is_too_slow_loses_lines_but_never_waits(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    file = LineFile(folder / "lines.jsonl", max_waiting=10)
    with file._changed:  # the thread cannot take any
        for number in range(100):
            file.write(str(number))
    file.close()
    file.join()
    written = (folder / "lines.jsonl").read_text().splitlines()
    assert written == [str(number) for number in range(10)]


def test_conversation_goes_on_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh(turn_log_dir=str(tmp_path / "file"))
        async with conversation(mesh) as (session, said):
            await session.text("Hello?")
            await said.until_kind("turn_ended")

    run(main)
