"""A mesh of scripted stages on loopback, with a gateway in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import anima.gateway.v1 as gateway_api
from gateway.grpc.servicer import build
from gateway.settings import GatewaySettings
from gateway.stages.mesh import Mesh
from gateway.stages.spec import STAGES
from services.runtime.calls.channels import open_channel
from services.runtime.config.settings import ServiceSettings
from services.runtime.limits.progress import StreamLimits, same_limits
from services.runtime.server import Stage, serving
from testing.fakes.raw import RawServer
from testing.fakes.recogniser import FakeAsr
from testing.fakes.stages import FakeAvatar, FakeLlm, FakeMemory, FakeTts


class FakeMesh:
    """Starts a scripted stage for each stage of the table.

    `stop` stops one, and `start` restarts it at its address.

    Args:
        **stage_settings: Settings of every stage, such as `trace_file`.
    """

    def __init__(self, **stage_settings: Any) -> None:
        self._stage_settings = stage_settings
        self.asr = FakeAsr()
        self.llm = FakeLlm()
        self.memory = FakeMemory()  # type: ignore[abstract]
        self.tts = FakeTts()
        self.avatar = FakeAvatar()  # type: ignore[abstract]
        self.addresses: dict[str, str] = {}
        self._running: dict[str, AsyncExitStack] = {}
        self._data_dir = TemporaryDirectory(prefix="anima-fake-mesh-")

    async def __aenter__(self) -> Self:
        for stage in STAGES:
            await self.start(stage)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(self.stop(stage) for stage in list(self._running)))
        self._data_dir.cleanup()

    async def start(self, stage: str) -> None:
        """Starts a stage, at its old address if it ran before."""
        spec, servicer = STAGES[stage], getattr(self, stage)

        async def nothing() -> None:
            return

        listen = self.addresses.get(stage, "127.0.0.1:0")
        settings = ServiceSettings(listen=listen, **self._stage_settings)
        described = Stage(
            service=spec.health_service,
            add_to_server=lambda server: spec.add_to_server(servicer, RawServer(server)),
            warm_up=nothing,
            counted_methods=frozenset(),
            limits=same_limits(spec.health_service, StreamLimits()),
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
        """Returns the settings of a gateway in front of the mesh."""
        targets = {f"{stage}_target": address for stage, address in self.addresses.items()}
        values: dict[str, Any] = {
            "listen": "127.0.0.1:0",
            "http_listen": "127.0.0.1:0",
            "data_dir": self._data_dir.name,
            # The scripted voice is like the speech of the scripted microphones.
            "echo_cancellation": False,
        }
        return GatewaySettings.from_environment({}, **(values | targets | changes))

    @asynccontextmanager
    async def mesh(self, **changes: Any) -> AsyncIterator[Mesh]:
        """Opens the mesh as the gateway sees it."""
        async with Mesh(self.settings(**changes)) as mesh:
            yield mesh

    @asynccontextmanager
    async def gateway(self, **changes: Any) -> AsyncIterator[Any]:
        """Serves a gateway over gRPC; yields a stub with the `address` of the server."""
        settings = self.settings(**changes)
        async with serving(build(settings), settings) as server:
            await server.ready
            async with open_channel(server.address, token=settings.token) as channel:
                stub: Any = gateway_api.GatewayServiceStub(channel)
                stub.address = server.address
                yield stub
