"""Who can read the disk, and what happens when it is full or files are gone (A10, A12, A13)."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from anima.memory import v1 as memory
from cli.mesh.layout import free_addresses
from memory.servicer import SERVICE
from services.runtime.calls.channels import open_channel
from services.runtime.config.settings import ServiceSettings
from services.runtime.process.tasks import first_of
from tests.requirements import need

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(300)]

ON_A_DISK_OF_6_MIB = (
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
    'mount -t tmpfs -o size=6m tmpfs "$1" && ln -s "$2" "$1/models" && shift 2 && exec "$@"',
    "sh",
)


def models() -> Path:
    return ServiceSettings.from_environment().data_dir / "models"


@asynccontextmanager
async def memory_service(data: Path, *before: str) -> AsyncIterator[tuple[Any, Any]]:
    """Runs a memory service; yields its stub and its process."""
    need("encoder")
    (address,) = free_addresses(1)
    log = data.with_suffix(".log")
    with log.open("ab") as written:
        process = await asyncio.create_subprocess_exec(
            *before,
            *(sys.executable, "-m", "memory"),
            env={
                **os.environ,
                "ANIMA_DATA_DIR": str(data),
                "ANIMA_MEMORY_LISTEN": address,
                "OMP_NUM_THREADS": "1",
            },
            stderr=written,
        )
    try:
        await first_of(_until_ready(address), process.wait())
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = memory.MemoryServiceStub(channel)
            yield stub, process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def _until_ready(address: str) -> None:
    async with open_channel(address, health_service=SERVICE) as channel:
        stub: Any = memory.MemoryServiceStub(channel)
        await stub.DescribeEngine(memory.DescribeEngineRequest(), wait_for_ready=True)


def data_folder(folder: Path) -> Path:
    data = folder / "data"
    data.mkdir()
    (data / "models").symlink_to(models())
    return data


def remark(number: int) -> memory.Item:
    text = f"A long remark number {number}: " + "lorem ipsum " * 500
    return memory.Item(text=text, kind=memory.ITEM_KIND_TURN, speaker=memory.SPEAKER_USER)


def fill(folder: Path) -> None:
    """Takes all that is left of a disk."""
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass


async def remember_for_ever(stub: Any, user_id: str) -> None:
    while True:
        await stub.Remember(memory.RememberRequest(user_id=user_id, items=[remark(1)]))


async def test_everything_can_be_erased_from_a_full_disk(tmp_path: Path) -> None:
    need("private-mounts")
    data = tmp_path / "data"
    data.mkdir()
    inside = (*ON_A_DISK_OF_6_MIB, str(data), str(models()))
    async with memory_service(data, *inside) as (stub, process):
        items = [remark(number) for number in range(20)]
        await stub.Remember(memory.RememberRequest(user_id="full", items=items))
        # The disk is in the mount namespace of the service.
        fill(Path(f"/proc/{process.pid}/root{data}"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await remember_for_ever(stub, "full")
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        forgotten = await stub.Forget(memory.ForgetRequest(user_id="full", everything=True))
        assert forgotten.forgotten_count >= 20
        listed = await stub.List(memory.ListRequest(user_id="full"))
        assert listed.total_count == 0


async def test_writes_into_a_deleted_folder_are_not_confirmed(tmp_path: Path) -> None:
    data = data_folder(tmp_path)
    async with memory_service(data) as (stub, _):
        await stub.Remember(memory.RememberRequest(user_id="gone", items=[remark(1)]))
        shutil.rmtree(data / "memory")
        confirmed = 0
        for number in range(3):
            with suppress(grpc.aio.AioRpcError):
                await stub.Remember(memory.RememberRequest(user_id="gone", items=[remark(number)]))
                confirmed += 1
        left = await _count_after(stub, "gone")
    async with memory_service(data) as (stub, _):
        listed = await stub.List(memory.ListRequest(user_id="gone"))
    # Whatever was confirmed after the loss is there after a restart.
    assert listed.total_count >= confirmed, left


async def _count_after(stub: Any, user_id: str) -> str:
    try:
        return str((await stub.List(memory.ListRequest(user_id=user_id))).total_count)
    except grpc.aio.AioRpcError as error:
        return str(error.details())


async def test_an_empty_database_is_not_a_new_memory(tmp_path: Path) -> None:
    data = data_folder(tmp_path)
    async with memory_service(data) as (stub, _):
        await stub.Remember(memory.RememberRequest(user_id="empty", items=[remark(1)]))
    for extra in (data / "memory").glob("memory.db-*"):
        extra.unlink()
    (data / "memory" / "memory.db").write_bytes(b"")
    async with memory_service(data) as (_, process):
        await process.wait()
    assert process.returncode
    assert "memory.db" in data.with_suffix(".log").read_text()
