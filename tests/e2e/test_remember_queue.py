"""A gateway that is killed while turns wait for the memory: none of them is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from testing.fakes.mesh import FakeMesh
from tests.service_process import gateway_process, stub_of

TURNS = 5


async def answered(stub: Any, user_id: str, questions: list[str]) -> None:
    """Asks questions and waits for the end of each answer."""
    call: Any = stub.Converse()
    await call.write(pb.ConverseRequest(config=pb.ConverseConfig(user_id=user_id, audio_only=True)))
    for question in questions:
        await call.write(pb.ConverseRequest(text=pb.TextInput(text=question)))
        while True:
            event = await call.read()
            if event.WhichOneof("event") == "turn_ended":
                break
    call.cancel()


def until_written(folder: Path, texts: list[str]) -> None:
    def are_written() -> bool:
        content = b"".join(path.read_bytes() for path in folder.glob("*.db*"))
        return all(text.encode() in content for text in texts)

    while not are_written():
        time.sleep(0.01)


@pytest.mark.process
async def test_gateway_that_is_killed_loses_no_turn(tmp_path: Path) -> None:
    async with FakeMesh() as fake:
        fake.llm.answer = ["Yes."]
        await fake.stop("memory")
        questions = {user: [f"{user} {n}?" for n in range(TURNS)] for user in ("ada", "eve")}
        async with gateway_process(fake.addresses, data_dir=tmp_path) as first:
            async with stub_of(first) as stub:
                for user, asked in questions.items():
                    await answered(stub, user, asked)
            last = [asked[-1] for asked in questions.values()]
            await asyncio.to_thread(until_written, tmp_path / "gateway", last)
            first.process.send_signal(signal.SIGKILL)
            first.process.wait()
        await fake.start("memory")
        async with gateway_process(fake.addresses, data_dir=tmp_path):
            stored = [await fake.memory.remembered.get() for _ in range(2 * TURNS)]
        for user, asked in questions.items():
            assert [r.items[0].text for r in stored if r.user_id == user] == asked
        assert fake.memory.remembered.empty()


@pytest.mark.process
async def test_gateway_without_users_makes_no_file(tmp_path: Path) -> None:
    async with FakeMesh() as fake:
        fake.llm.answer = ["Yes."]
        async with (
            gateway_process(fake.addresses, data_dir=tmp_path) as gateway,
            stub_of(gateway) as stub,
        ):
            await answered(stub, "", ["Who?"])
        assert not await asyncio.to_thread(os.listdir, tmp_path)
