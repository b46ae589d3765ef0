"""A scripted llm stage behind a real server, for the memory's calls of a language model."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anima.llm.v1 import llm_pb2_grpc
from services.runtime.config.settings import ServiceSettings
from services.runtime.limits.progress import StreamLimits, same_limits
from services.runtime.server import Stage, serving
from testing.fakes.stages import FakeLlm


@asynccontextmanager
async def llm_stage(fake: FakeLlm) -> AsyncIterator[str]:
    """Serves a scripted model on loopback; yields its address."""

    async def nothing() -> None:
        return

    stage = Stage(
        service="anima.llm.v1.LlmService",
        add_to_server=lambda server: llm_pb2_grpc.add_LlmServiceServicer_to_server(fake, server),
        warm_up=nothing,
        counted_methods=frozenset(),
        limits=same_limits("anima.llm.v1.LlmService", StreamLimits()),
        close=nothing,
    )
    async with serving(stage, ServiceSettings(listen="127.0.0.1:0")) as server:
        await server.ready
        yield server.address
