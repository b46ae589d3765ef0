"""A real service on a disk that is really full: a small file system of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import grpc
import pytest

from anima.memory import v1 as wire
from services.runtime.calls.channels import open_channel
from services.runtime.errors import DISK_FULL_REASON, Busy, error_from_rpc
from tests.requirements import need
from tests.unit.memory.services import address_of

if TYPE_CHECKING:
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

DISK = "6m"
FILLER_BYTES = 3 * 1024 * 1024


@asynccontextmanager
async def on_a_small_disk(folder: Path) -> AsyncIterator[tuple[Path, MemoryServiceAsyncStub]]:
    """Starts a service whose data are on its own file system; yields its folder and stub."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ANIMA_")} | {
        "ANIMA_MEMORY_LISTEN": "127.0.0.1:0",
        "ANIMA_DATA_DIR": str(folder),
        "ANIMA_LOG_FORMAT": "json",
    }
    mounted = f'mount -t tmpfs -o size={DISK} tmpfs "$0" && exec "$1" -m memory'
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted),
        *(str(folder), sys.executable),
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        address, reading = await address_of(process)
        async with open_channel(address) as channel:
            disk = Path(f"/proc/{process.pid}/root") / folder.relative_to("/")
            yield disk, cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(channel))
    finally:
        process.kill()
        await process.wait()
        await reading


async def remember_until_full(memory: MemoryServiceAsyncStub) -> tuple[list[str], Busy]:
    acknowledged: list[str] = []
    for call in range(1_000):
        items = [wire.Item(item_id=f"i{call}-{n}", text=f"{call} {n} " * 900) for n in range(10)]
        try:
            response = await memory.Remember(wire.RememberRequest(user_id="u", items=items))
        except grpc.aio.AioRpcError as rpc_error:
            error = error_from_rpc(rpc_error)
            assert isinstance(error, Busy)
            return acknowledged, error
        acknowledged += response.item_ids
    raise AssertionError("the disk was never full")


async def exported_ids(memory: MemoryServiceAsyncStub) -> list[str]:
    return [r.item.item_id async for r in memory.Export(wire.ExportRequest(user_id="u"))]


@pytest.mark.process
async def test_a_full_disk_loses_nothing_and_works_again_when_there_is_room(
    tmp_path: Path,
) -> None:
    need("private-mounts")
    async with on_a_small_disk(tmp_path) as (disk, memory):
        filler = disk / "filler"
        filler.write_bytes(b"x" * FILLER_BYTES)
        acknowledged, error = await remember_until_full(memory)
        assert (error.reason, error.retry_after_ms) == (DISK_FULL_REASON, 10_000)
        assert "is full" in error.message
        assert "Make room there" in error.message
        assert acknowledged
        assert sorted(await exported_ids(memory)) == sorted(acknowledged)
        query = wire.RecallRequest(user_id="u", query="Do you remember 0 1?")
        assert (await memory.Recall(query)).items
        filler.unlink()
        more = wire.RememberRequest(
            user_id="u", items=[wire.Item(item_id="z", text="there is room")]
        )
        await memory.Remember(more)
        assert sorted(await exported_ids(memory)) == sorted([*acknowledged, "z"])


@pytest.mark.process
@pytest.mark.parametrize("everything", [True, False], ids=["everything", "items"])
async def test_a_full_disk_can_be_emptied_by_erasing(tmp_path: Path, everything: bool) -> None:
    need("private-mounts")
    async with on_a_small_disk(tmp_path) as (disk, memory):
        reserve = disk / "memory" / "memory.reserve"
        assert reserve.stat().st_size > 0
        acknowledged, error = await remember_until_full(memory)
        assert "and erased" in error.message
        (disk / "filler").write_bytes(b"")  # others take what is left
        with contextlib.suppress(OSError), (disk / "filler").open("ab") as filler:
            while True:
                filler.write(b"x" * 4096)
                filler.flush()
        erase = wire.ForgetRequest(user_id="u")
        if everything:
            erase.everything = True
        else:
            erase.items.item_ids.extend(acknowledged)
        assert (await memory.Forget(erase)).forgotten_count == len(acknowledged)
        assert await exported_ids(memory) == []

        (disk / "filler").unlink()
        async with asyncio.timeout(60):
            while not reserve.exists():  # noqa: ASYNC110 - nothing tells of a file
                await asyncio.sleep(0.05)
        more = wire.RememberRequest(
            user_id="u", items=[wire.Item(item_id="z", text="there is room")]
        )
        await memory.Remember(more)
        assert await exported_ids(memory) == ["z"]
