"""Kills a real memory service repeatedly; no acknowledged item may be missing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import grpc
import pytest

from anima.memory import v1 as wire
from services.runtime.calls.channels import open_channel

if TYPE_CHECKING:
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

ACKNOWLEDGED_PER_ROUND = 20
ITEMS_PER_CALL = 3
WRITERS = 4


def start(data_dir: Path) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ANIMA_")} | {
        "ANIMA_MEMORY_LISTEN": "127.0.0.1:0",
        "ANIMA_DATA_DIR": str(data_dir),
        "ANIMA_LOG_FORMAT": "json",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "memory"], env=environment, stderr=subprocess.PIPE, text=True
    )


def address_when_ready(stderr: IO[str]) -> str:
    for line in stderr:
        entry = json.loads(line)
        if entry.get("event") == "ready":
            # Read on, so that a full pipe never stops the service.
            threading.Thread(target=stderr.read, daemon=True).start()
            return str(entry["address"])
    raise AssertionError("the service ended before it was ready")


@asynccontextmanager
async def service(
    data_dir: Path,
) -> AsyncIterator[tuple[subprocess.Popen[str], MemoryServiceAsyncStub]]:
    with start(data_dir) as process:
        try:
            assert process.stderr is not None
            address = await asyncio.to_thread(address_when_ready, process.stderr)
            async with open_channel(address) as channel:
                yield process, cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(channel))
        finally:
            process.kill()


async def write_until_killed(
    memory: MemoryServiceAsyncStub, name: str, acknowledged: list[str], enough: asyncio.Event
) -> None:
    for call in range(1_000_000):
        items = [
            wire.Item(item_id=f"{name}-{call}-{n}", text=f"text of {name} {call} {n}")
            for n in range(ITEMS_PER_CALL)
        ]
        try:
            response = await memory.Remember(wire.RememberRequest(user_id="u", items=items))
        except grpc.aio.AioRpcError:
            return
        acknowledged += response.item_ids
        if len(acknowledged) >= ACKNOWLEDGED_PER_ROUND:
            enough.set()


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("rounds", [5, pytest.param(25, marks=pytest.mark.long)])
async def test_nothing_acknowledged_is_lost_when_the_service_is_killed(
    tmp_path: Path, rounds: int
) -> None:
    every: set[str] = set()
    for round_number in range(rounds):
        acknowledged: list[str] = []
        enough = asyncio.Event()
        async with service(tmp_path) as (process, memory):
            writers = [
                asyncio.create_task(
                    write_until_killed(memory, f"{round_number}-{w}", acknowledged, enough)
                )
                for w in range(WRITERS)
            ]
            await enough.wait()
            process.send_signal(signal.SIGKILL)
            await asyncio.gather(*writers)
        assert len(acknowledged) >= ACKNOWLEDGED_PER_ROUND
        every |= set(acknowledged)
    async with service(tmp_path) as (_, memory):
        exported = {
            response.item.item_id: response.item.text
            async for response in memory.Export(wire.ExportRequest(user_id="u"))
        }
    assert every <= exported.keys()
    for item_id, text in exported.items():
        name, call, number = item_id.rsplit("-", 2)
        assert text == f"text of {name} {call} {number}"
        assert f"{name}-{call}-{ITEMS_PER_CALL - 1}" in exported, "a call was stored in part"


@pytest.mark.process
def test_a_damaged_database_ends_the_start_with_a_clear_text(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.db").write_bytes(b"no database" * 1000)
    with start(tmp_path) as process:
        assert process.stderr is not None
        log = process.stderr.read()
    assert process.returncode == 1
    assert "memory.db is damaged" in log
    assert "Traceback" not in log
