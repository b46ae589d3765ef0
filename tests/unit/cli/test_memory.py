"""`anima memory` against a memory service on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from typer.testing import CliRunner, Result

from anima.memory import v1 as wire
from cli.main import app
from memory.servicer import build
from memory.settings import MemorySettings
from services.runtime.calls.channels import open_channel
from services.runtime.server import serving

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    settings = MemorySettings(listen="127.0.0.1:0", data_dir=tmp_path, embedding_model="none")
    async with serving(build(settings), settings) as server:
        await server.ready
        async with open_channel(server.address) as channel:
            items = [
                wire.Item(item_id="a", text="My dog is called Rex", speaker=wire.SPEAKER_USER),
                wire.Item(item_id="b", text="你好 [bold]", speaker=wire.SPEAKER_ASSISTANT),
            ]
            stub = cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(channel))
            await stub.Remember(wire.RememberRequest(user_id="ada", items=items))
        yield server.address


async def anima(*arguments: str, said: str | None = None, columns: int = 300) -> Result:
    """Runs the command in a thread: it has an event loop of its own."""
    runner = CliRunner(env={"COLUMNS": str(columns)})
    return await asyncio.to_thread(lambda: runner.invoke(app, ["memory", *arguments], input=said))


async def when(condition: Callable[[Result], bool], *arguments: str) -> Result:
    async with asyncio.timeout(90):
        while not condition(result := await anima(*arguments)):
            pass  # each call lets the service run
    return result


async def test_list_shows_turns_and_facts(address: str) -> None:
    result = await when(lambda r: "fact-" in r.stdout, "list", "ada", "--memory", address)
    assert result.exit_code == 0
    for shown in (
        "My dog is called Rex",
        "你好 [bold]",
        "person",
        "anima",
        "My dog is called Rex.",
    ):
        assert shown in result.stdout
    only_facts = await anima("list", "ada", "--facts", "--memory", address)
    assert "你好" not in only_facts.stdout


async def test_the_list_cuts_nothing_in_a_narrow_terminal(address: str) -> None:
    long = "7e6a1c64-0f3a-4a0d-9d61-1f6d9b1f3f0a-12-user"
    async with open_channel(address) as channel:
        item = wire.Item(item_id=long, text="word " * 30, speaker=wire.SPEAKER_USER)
        stub = cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(channel))
        await stub.Remember(wire.RememberRequest(user_id="eve", items=[item]))
    printed = (await anima("list", "eve", "--memory", address, columns=80)).stdout
    assert "…" not in printed
    lines = [line.split("│") for line in printed.splitlines() if line.startswith("│")]
    assert long in "".join(cells[-2].strip() for cells in lines)
    assert max(map(len, printed.splitlines())) <= 80


async def test_an_export_is_imported_for_another(address: str, tmp_path: Path) -> None:
    await when(lambda r: "fact-" in r.stdout, "list", "ada", "--memory", address)
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    assert (await anima("export", "ada", str(first), "--memory", address)).exit_code == 0
    lines = [json.loads(line) for line in first.read_text(encoding="utf-8").splitlines()]
    assert sorted(line["text"] for line in lines if "fact" not in line) == [
        "My dog is called Rex",
        "你好 [bold]",
    ]
    result = await anima("import", "eve", str(first), "--memory", address)
    assert "3 items read, 3 were new" in result.stderr
    again = await anima("import", "eve", str(first), "--memory", address)
    assert "3 items read, 0 were new" in again.stderr
    await anima("export", "eve", str(second), "--memory", address)
    assert second.read_bytes() == first.read_bytes()


async def test_forget_asks_and_erases(address: str) -> None:
    assert (await anima("forget", "ada", "b", "--memory", address, said="n\n")).exit_code == 1
    result = await anima("forget", "ada", "b", "--memory", address, said="y\n")
    assert "1 items erased" in result.stderr
    await anima("forget", "ada", "--everything", "--yes", "--memory", address)
    assert "0 of 0." in (await anima("list", "ada", "--memory", address)).stderr


async def test_faults_are_named(address: str, tmp_path: Path) -> None:
    assert "nothing to erase" in (await anima("forget", "ada")).stderr
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"text": "x"}\n{"nonsense"\n', encoding="utf-8")
    assert "line 2 is not an item" in (await anima("import", "ada", str(broken))).stderr
    refused = await anima("list", "x" * 200, "--memory", address)
    assert refused.exit_code == 1
    assert "user_id" in refused.stderr
