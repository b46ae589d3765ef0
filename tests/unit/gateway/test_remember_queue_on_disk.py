"""Turns that wait for the memory are on disk: they survive the gateway and can be erased."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from anima.memory.v1 import memory_pb2 as memory
from gateway.remember_queue.journal import MAX_AGE_MS, Journal, JournalError, Record
from gateway.remember_queue.pending import PendingTurn
from gateway.remember_queue.queue import RememberQueue
from gateway.remember_queue.sealing import read_key
from gateway.remember_queue.writer import JournalWriter
from services.runtime.errors import AnimaError, InvalidRequest, Unavailable
from services.runtime.process import event_loop
from services.runtime.process.clock import unix_ms
from tests.unit.gateway.test_remember_queue import ScriptedMemory, queue_of, turn

AWAY = Unavailable("the memory is away")
KEY = bytes(range(32))


def away(_: memory.RememberRequest) -> AnimaError | None:
    return AWAY


@asynccontextmanager
async def queue_in(
    folder: Path, scripted: ScriptedMemory, *, key: bytes | None = None, drain_s: float = 0.0
) -> AsyncIterator[RememberQueue]:
    """A queue that is closed like that of a stopped gateway while turns wait."""
    queue = queue_of(scripted.send)
    queue.start(folder, key)
    try:
        yield queue
    finally:
        await queue.close(timeout_s=drain_s)


def bytes_of(folder: Path) -> bytes:
    found = b""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # SQLite removes its journal meanwhile
            found += path.read_bytes()
    return found


def until_written(folder: Path, text: bytes) -> None:
    while True:
        with suppress(FileNotFoundError):  # a journal may disappear before it is read
            if text in bytes_of(folder):
                return
        time.sleep(0.001)


def databases_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.db"))


async def filled(folder: Path, *turns: memory.RememberRequest, key: bytes | None = None) -> None:
    """Leaves unconfirmed turns on disk."""
    scripted = ScriptedMemory(away)
    async with queue_in(folder, scripted, key=key) as queue:
        for one in turns:
            queue.add(one)


async def test_next_gateway_delivers_what_is_left_in_its_order(tmp_path: Path) -> None:
    numbers = [str(number) for number in range(50)]
    await filled(tmp_path / "q", *(turn("ada", number) for number in numbers))
    scripted = ScriptedMemory()
    async with queue_in(tmp_path / "q", scripted) as queue:
        queue.add(turn("ada", "after the restart"))
        await scripted.until(51)
    assert scripted.texts_of("ada") == [*numbers, "after the restart"]
    later = ScriptedMemory()
    async with queue_in(tmp_path / "q", later) as queue:
        queue.add(turn("ada", "one more"))
        await later.until(1)
    assert later.texts_of("ada") == ["one more"]


async def test_delivered_turns_leave_no_text_in_the_files(tmp_path: Path) -> None:
    scripted = ScriptedMemory()
    async with queue_in(tmp_path / "q", scripted) as queue:
        queue.add(turn("ada", "a secret that was delivered"))
        await scripted.until(1)
    assert b"secret" not in bytes_of(tmp_path / "q")


async def test_erased_turns_leave_no_text_in_the_files(tmp_path: Path) -> None:
    scripted = ScriptedMemory(away)
    async with queue_in(tmp_path / "q", scripted) as queue:
        queue.add(turn("ada", "first secret"))
        queue.add(turn("eve", "what eve said"))
        queue.add(turn("eve", "what eve regrets"))
        await asyncio.to_thread(until_written, tmp_path / "q", b"regrets")
        queue.add(turn("ada", "second secret"))  # is not written yet
        await queue.forget("ada")
        await queue.forget("eve", ["eve-what eve regrets"])
        content = bytes_of(tmp_path / "q")
        assert b"secret" not in content
        assert b"regrets" not in content
        assert b"what eve said" in content
    left = ScriptedMemory()
    async with queue_in(tmp_path / "q", left):
        await left.until(1)
    assert left.stored == [("eve", "what eve said")]


async def test_two_gateways_share_a_folder_and_the_next_one_takes_over(tmp_path: Path) -> None:
    first, second = ScriptedMemory(away), ScriptedMemory(away)
    async with queue_in(tmp_path, first) as one, queue_in(tmp_path, second) as other:
        one.add(turn("ada", "by the first"))
        other.add(turn("eve", "by the second"))
    assert databases_in(tmp_path) == ["remember-0.db", "remember-1.db"]
    left = ScriptedMemory()
    async with queue_in(tmp_path, left):
        await left.until(2)
        assert sorted(left.stored) == [("ada", "by the first"), ("eve", "by the second")]
        assert databases_in(tmp_path) == ["remember-0.db"]


async def test_file_of_a_gateway_that_runs_is_left_alone(tmp_path: Path) -> None:
    busy = ScriptedMemory(away)
    async with queue_in(tmp_path, busy) as running:
        running.add(turn("ada", "mine"))
        await asyncio.to_thread(until_written, tmp_path, b"mine")
        other = ScriptedMemory()
        async with queue_in(tmp_path, other) as beside:
            beside.add(turn("eve", "hers"))
            await other.until(1)
        assert other.stored == [("eve", "hers")]


async def test_turn_that_was_set_aside_is_tried_by_the_next_gateway(tmp_path: Path) -> None:
    refusing = ScriptedMemory(lambda _: InvalidRequest("items: not understood"))
    async with queue_in(tmp_path, refusing, drain_s=30) as queue:
        queue.add(turn("ada", "of a newer gateway"))
    assert refusing.attempts == 3
    newer = ScriptedMemory()
    async with queue_in(tmp_path, newer):
        await newer.until(1)


async def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    await filled(tmp_path / "q", turn("ada", "secret"))
    assert (tmp_path / "q").stat().st_mode & 0o077 == 0
    assert (tmp_path / "q" / "remember-0.db").stat().st_mode & 0o077 == 0


async def test_with_a_key_nothing_is_readable_and_only_the_key_opens_it(tmp_path: Path) -> None:
    await filled(tmp_path, turn("ada lovelace", "secret"), key=KEY)
    assert b"secret" not in bytes_of(tmp_path)
    assert b"lovelace" not in bytes_of(tmp_path)
    for wrong in (None, bytes(32)):
        scripted = ScriptedMemory()
        async with queue_in(tmp_path, scripted, key=wrong) as queue:
            queue.add(turn("eve", "hers"))
            await scripted.until(1)
        assert scripted.stored == [("eve", "hers")]
    scripted = ScriptedMemory()
    async with queue_in(tmp_path, scripted, key=KEY):
        await scripted.until(1)
    assert scripted.stored == [("ada lovelace", "secret")]


@pytest.mark.parametrize("damage", ["no folder", "no database", "newer"])
async def test_turns_are_delivered_although_the_file_cannot_be_used(
    tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "q"
    if damage == "no folder":
        folder.write_text("in the way")
    else:
        await filled(folder, turn("ada", "lost"))
        path = folder / "remember-0.db"
        if damage == "no database":
            path.write_bytes(b"no database at all" * 1_000)
        else:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA user_version = 99")
                connection.commit()
    scripted = ScriptedMemory()
    async with queue_in(folder, scripted) as queue:
        queue.add(turn("eve", "hers"))
        await scripted.until(1)
        await queue.forget("eve")
    assert scripted.stored == [("eve", "hers")]


async def test_damaged_turn_is_left_out(tmp_path: Path) -> None:
    await filled(tmp_path, turn("ada", "whole"))
    journal = Journal.open(tmp_path, None)
    journal.change([Record(created_unix_ms=1, request=b"\xff\xff\xff")], [])
    journal.close()
    scripted = ScriptedMemory()
    async with queue_in(tmp_path, scripted):
        await scripted.until(1)
    assert scripted.stored == [("ada", "whole")]


def test_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "remember-0.db").write_bytes(b"no database at all" * 1_000)
    with pytest.raises(JournalError, match=r"remember-0\.db is damaged .*move it away"):
        Journal.open(tmp_path, None)


def test_key_is_read_from_a_file_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY.hex() + "\n")
    assert read_key("", file) == read_key(KEY.hex(), None) == KEY
    assert read_key("", None) is None
    with pytest.raises(ValueError, match="memory_key: is not 64 hexadecimal digits") as raised:
        read_key("abcdef", None)
    assert "abcdef" not in str(raised.value)
    with pytest.raises(ValueError, match=r"memory_key_file: .*missing cannot be read"):
        read_key("", tmp_path / "missing")


async def test_turns_of_a_lost_key_do_not_stay_for_ever(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, KEY)
    old_unix_ms = unix_ms() - MAX_AGE_MS - 1
    journal.change([Record(created_unix_ms=old_unix_ms, request=b"old")], [])
    journal.change([Record(created_unix_ms=unix_ms(), request=b"new")], [])
    journal.close()
    journal = Journal.open(tmp_path, None)
    assert journal.load() == []
    journal.close()
    journal = Journal.open(tmp_path, KEY)
    assert [record.request for record in journal.load()] == [b"new"]
    journal.close()


def test_removals_that_are_due_at_once_on_the_loop_of_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # uvloop's handle of a timer that is due at once has no time.
    monkeypatch.setattr("gateway.remember_queue.writer._REMOVE_S", 0.0)

    async def main() -> None:
        writer = JournalWriter(tmp_path, None, on_written=lambda _: None)
        for row in (1, 2):
            request = turn("ann", "It is over.")
            writer.remove(PendingTurn(user_id="ann", request=request, created_unix_ms=0, row=row))
        await asyncio.wait_for(writer._more.wait(), 10)

    event_loop.run(main())
