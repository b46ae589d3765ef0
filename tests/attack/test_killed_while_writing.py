"""A service that is killed while it stores avatars and documents: what is served is whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import grpc
import pytest

from anima.avatar import v1 as avatar
from anima.memory import v1 as memory
from gateway.stages.spec import STAGES
from services.runtime.calls.channels import open_channel
from testing.streams.avatar import upload
from tests.attack.attacked import Attacked
from tests.attack.test_documents import add
from tests.attack.test_personal_files import portrait
from tests.requirements import need

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(600)]

ROUNDS = 5


async def until_back(mesh: Attacked, service: str) -> None:
    """Waits until another process serves in place of the killed one."""
    spec = STAGES[service]
    async with open_channel(mesh.address(service), health_service=spec.health_service) as channel:
        await spec.stub(channel).DescribeEngine(spec.request("DescribeEngine"), wait_for_ready=True)


async def kill_during(
    mesh: Attacked, service: str, work: Callable[[int], Awaitable[Any]], delay_s: float
) -> None:
    """Kills a service while a client has it store one thing after the other."""
    process = mesh.process(service)

    async def store() -> None:
        for number in range(1_000_000):
            await work(number)

    storing = asyncio.create_task(store())
    done, _ = await asyncio.wait([storing], timeout=delay_s)
    assert not done, storing
    process.kill()
    with suppress(grpc.aio.AioRpcError):
        await storing
    await asyncio.to_thread(process.wait)
    await until_back(mesh, service)


async def test_avatars(open_mesh: Attacked) -> None:
    need("face-mesh")
    need("astronaut")
    photo, choice = portrait(), random.Random(11)
    async with open_mesh.channel("avatar") as channel:
        await upload(channel, "killed", photo)
    for _ in range(ROUNDS):

        async def make(number: int) -> None:
            async with open_mesh.channel("avatar") as channel:
                await upload(channel, "killed", photo)

        await kill_during(open_mesh, "avatar", make, choice.uniform(0.3, 3))
        async with open_mesh.channel("avatar") as channel:
            stub: Any = avatar.AvatarServiceStub(channel)
            listed = await stub.ListAvatars(avatar.ListAvatarsRequest())
            # It was there before, and it is replaced as a whole.
            assert "killed" in [each.name for each in listed.avatars]
            request = avatar.GetIdleLoopRequest(avatar="killed")
            frames = [len(part.frames) async for part in stub.GetIdleLoop(request)]
            assert sum(frames)
        hidden = [path.name for path in (open_mesh.data / "avatars").glob(".*")]
        assert not hidden


async def test_documents(open_mesh: Attacked) -> None:
    owner, choice = memory.KnowledgeOwner(user_id="killed"), random.Random(12)
    text = "".join(f"Paragraph {n} is about the number {n}.\n\n" * 3 for n in range(300))
    confirmed: set[str] = set()
    for round_number in range(ROUNDS):

        async def store(number: int, round_number: int = round_number) -> None:
            async with open_mesh.channel("memory") as channel:
                stub: Any = memory.MemoryServiceStub(channel)
                name = f"{round_number}-{number}.txt"
                outcome = await add(stub, owner, name, f"{name}\n\n{text}".encode())
                if outcome.startswith("refused"):
                    raise grpc.aio.AioRpcError(
                        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()
                    )
                confirmed.add(outcome)

        await kill_during(open_mesh, "memory", store, choice.uniform(0.5, 4))
        async with open_mesh.channel("memory") as channel:
            stub: Any = memory.MemoryServiceStub(channel)
            listed = await stub.ListDocuments(memory.ListDocumentsRequest(owner=owner))
            assert confirmed <= {document.document_id for document in listed.documents}
            for document in listed.documents:
                got = await stub.GetDocument(
                    memory.GetDocumentRequest(
                        owner=owner, document_id=document.document_id, max_passages=500
                    )
                )
                assert len(got.passages) == document.passage_count > 10
            found = await stub.SearchKnowledge(
                memory.SearchKnowledgeRequest(owner=owner, query="Paragraph 7")
            )
            assert bool(found.passages) == bool(listed.documents)
