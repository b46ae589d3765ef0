"""Calls with a replica key: the same key reaches the same replica, as long as that one is ready."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import grpc
import pytest

from anima.asr.v1 import DescribeEngineRequest, DescribeEngineResponse
from anima.common.v1 import EngineInfo
from services.runtime.calls.channels import open_channel
from services.runtime.server import Server
from tests.unit.runtime.tiny_service import (
    SERVICE,
    TinyServicer,
    tiny_server,
    tiny_stage,
    typed_stub,
)

KEY = "x-replica-key"
KEYS = [f"session-{number}" for number in range(60)]


class Named(TinyServicer):
    """A replica that returns its number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    async def DescribeEngine(  # noqa: N802
        self, request: DescribeEngineRequest, context: Any
    ) -> DescribeEngineResponse:
        return DescribeEngineResponse(engine=EngineInfo(name=str(self._number)))


class Replicas:
    """Three replicas behind one channel."""

    def __init__(self, servers: list[Server], stub: Any) -> None:
        self.servers = servers
        self._stub = stub

    async def reached(self, key: str = "") -> int:
        """Returns the number of the replica that a call with a key reaches."""
        described = await self._stub.DescribeEngine(
            DescribeEngineRequest(),
            metadata=((KEY, key),) if key else (),
            wait_for_ready=True,
            timeout=30,
        )
        return int(described.engine.name)

    async def until_left(self, leaving: int, key: str) -> None:
        """Waits until a draining replica gets no more calls with a key of its own."""
        # Its health stream says that it leaves; a call that is already on its way is refused.
        while True:
            with suppress(grpc.aio.AioRpcError):
                if await self.reached(key) != leaving:
                    return

    async def reached_by_all(self) -> dict[str, int]:
        """Returns the number of the replica for each key."""
        return {key: await self.reached(key) for key in KEYS}


@pytest.fixture
async def replicas() -> AsyncIterator[Replicas]:
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(tiny_server(tiny_stage(Named(number))))
            for number in range(3)
        ]
        target = "ipv4:" + ",".join(server.address for server in servers)
        channel = open_channel(target, health_service=SERVICE, replica_key=KEY)
        yield Replicas(servers, typed_stub(await stack.enter_async_context(channel)))


async def test_calls_with_the_same_key_reach_one_replica(replicas: Replicas) -> None:
    first = await replicas.reached_by_all()
    assert await replicas.reached_by_all() == first
    # The ring is even enough that no replica has more than half of the sessions.
    assert max(Counter(first.values()).values()) < 30
    assert len(set(first.values())) == 3


async def test_only_the_sessions_of_a_draining_replica_move(replicas: Replicas) -> None:
    first = await replicas.reached_by_all()
    leaving = first[KEYS[0]]
    await replicas.servers[leaving].drain(grace_s=0)
    await replicas.until_left(leaving, KEYS[0])
    second = await replicas.reached_by_all()
    assert leaving not in second.values()
    assert all(second[key] == first[key] for key in KEYS if first[key] != leaving)


async def test_calls_without_a_key_reach_every_replica(replicas: Replicas) -> None:
    assert {await replicas.reached() for _ in range(60)} == {0, 1, 2}
