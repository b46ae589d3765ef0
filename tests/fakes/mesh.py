"""A mesh of scripted stages on loopback, with a gateway in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anima.asr.v1 as asr
import anima.avatar.v1 as avatar
import anima.gateway.v1 as gateway_api
import anima.llm.v1 as llm
import anima.memory.v1 as memory
import anima.tts.v1 as tts
from gateway.grpc.servicer import build
from gateway.settings import GatewaySettings
from gateway.stages.mesh import Mesh
from services.runtime.channels import open_channel
from services.runtime.server import Stage, serving
from services.runtime.settings import ServiceSettings
from tests.fakes.raw import RawServer
from tests.fakes.recogniser import FakeAsr
from tests.fakes.stages import FakeAvatar, FakeLlm, FakeMemory, FakeTts

_ADD: dict[str, Any] = {
    "asr": asr.add_AsrServiceServicer_to_server,
    "llm": llm.add_LlmServiceServicer_to_server,
    "memory": memory.add_MemoryServiceServicer_to_server,
    "tts": tts.add_TtsServiceServicer_to_server,
    "avatar": avatar.add_AvatarServiceServicer_to_server,
}
_SERVICES = {
    "asr": "anima.asr.v1.AsrService",
    "llm": "anima.llm.v1.LlmService",
    "memory": "anima.memory.v1.MemoryService",
    "tts": "anima.tts.v1.TtsService",
    "avatar": "anima.avatar.v1.AvatarService",
}


class FakeMesh:
    """Starts the five stages; `stop` and `start` take one away and bring it back at its address."""

    def __init__(self, *, trace_file: Path | None = None) -> None:
        self._trace_file = trace_file
        self.asr = FakeAsr()
        self.llm = FakeLlm()
        self.memory = FakeMemory()  # type: ignore[abstract]
        self.tts = FakeTts()
        self.avatar = FakeAvatar()  # type: ignore[abstract]
        self.addresses: dict[str, str] = {}
        self._running: dict[str, AsyncExitStack] = {}

    async def __aenter__(self) -> Self:
        for stage in _ADD:
            await self.start(stage)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(self.stop(stage) for stage in list(self._running)))

    async def start(self, stage: str) -> None:
        """Starts a stage, at its old address if it ran before."""
        servicer = getattr(self, stage)

        async def nothing() -> None:
            return

        settings = ServiceSettings(
            listen=self.addresses.get(stage, "127.0.0.1:0"), trace_file=self._trace_file
        )
        described = Stage(
            service=_SERVICES[stage],
            add_to_server=lambda server: _ADD[stage](servicer, RawServer(server)),
            warm_up=nothing,
            counted_methods=frozenset(),
            close=nothing,
        )
        stack = AsyncExitStack()
        server = await stack.enter_async_context(serving(described, settings))
        await server.ready
        self.addresses[stage] = server.address
        self._running[stage] = stack

    async def stop(self, stage: str) -> None:
        """Stops a stage at once: open streams are cut."""
        await self._running.pop(stage).aclose()

    def settings(self, **changes: Any) -> GatewaySettings:
        """Gives the settings of a gateway in front of the mesh."""
        targets = {f"{stage}_target": address for stage, address in self.addresses.items()}
        values: dict[str, Any] = {"listen": "127.0.0.1:0", "http_listen": "127.0.0.1:0"}
        return GatewaySettings.from_environment({}, **(values | targets | changes))

    @asynccontextmanager
    async def mesh(self, **changes: Any) -> AsyncIterator[Mesh]:
        """Opens the mesh as the gateway sees it."""
        async with Mesh(self.settings(**changes)) as mesh:
            yield mesh

    @asynccontextmanager
    async def gateway(self, **changes: Any) -> AsyncIterator[Any]:
        """Serves a gateway over gRPC; gives a stub with the `address` of the server."""
        settings = self.settings(**changes)
        async with serving(build(settings), settings) as server:
            await server.ready
            async with open_channel(server.address, token=settings.token) as channel:
                stub: Any = gateway_api.GatewayServiceStub(channel)
                stub.address = server.address
                yield stub
