"""The gRPC edge of the gateway: maps requests to session calls and events to responses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from anima.gateway.v1 import gateway_pb2 as pb
from anima.gateway.v1 import gateway_pb2_grpc
from gateway.session.requests import feed
from gateway.session.session import Session
from gateway.settings import GatewaySettings
from gateway.stages.mesh import Mesh
from gateway.stages.spec import GATEWAY_SERVICE
from services.runtime.calls.streams import open_stream
from services.runtime.limits.progress import StreamLimits
from services.runtime.process.tasks import beside, first_of
from services.runtime.server import Stage

_MORE_CALLS = 16

Context = grpc.aio.ServicerContext[Any, Any]


class GatewayServicer(gateway_pb2_grpc.GatewayServiceServicer):
    """Serves conversations over gRPC."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    async def Converse(  # type: ignore[override]  # noqa: N802
        self, request_iterator: AsyncIterator[pb.ConverseRequest], context: Context
    ) -> None:
        """Serves one conversation."""
        config, requests = await open_stream(request_iterator)
        async with (
            Session.open(self._mesh, config) as session,
            beside(feed(session, requests), name="converse-input"),
        ):
            # A write to a client that does not read returns only when the call ends.
            await first_of(
                _write(session, context), session.until_stalled(), name="converse-output"
            )

    async def DescribeMesh(  # noqa: N802
        self,
        request: pb.DescribeMeshRequest,
        context: Context,
    ) -> pb.DescribeMeshResponse:
        """Returns the stages and their personas, voices and avatars."""
        return await self._mesh.describe()


async def _write(session: Session, context: Context) -> None:
    async for event in session.events():
        await context.write(event)


def build(settings: GatewaySettings) -> Stage:
    """Builds the gateway without its HTTP edge.

    Args:
        settings: The settings.
    """
    mesh = Mesh(settings)
    return stage_of(mesh)


def stage_of(mesh: Mesh) -> Stage:
    """Describes a gateway to the server.

    Args:
        mesh: The stages; entered at warm-up and exited at close.
    """

    async def warm_up() -> None:
        await mesh.__aenter__()

    async def close() -> None:
        await mesh.__aexit__(None, None, None)

    async def until_idle() -> None:
        await mesh.places.idle.wait()

    def add_to_server(server: grpc.aio.Server) -> None:
        gateway_pb2_grpc.add_GatewayServiceServicer_to_server(GatewayServicer(mesh), server)

    return Stage(
        service=GATEWAY_SERVICE,
        add_to_server=add_to_server,
        warm_up=warm_up,
        # `Session` counts the conversations of all edges. More calls than those may be opening.
        counted_methods=frozenset(),
        limits={
            "Converse": StreamLimits(
                # A person may say nothing for long: `Session` ends a conversation that was left.
                last="config",
                at_once=2 * mesh.settings.capacity + _MORE_CALLS,
            )
        },
        by_address=True,
        close=close,
        draining=mesh.drain.begin,
        until_idle=until_idle,
        until_ready=mesh.states.until_seen,
        verifier=mesh.verifier,
    )
