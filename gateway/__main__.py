"""Starts the gateway: `python -m gateway`. gRPC and HTTP share one event loop."""

from __future__ import annotations

from dataclasses import replace

from gateway.grpc.servicer import stage_of
from gateway.http.app import create_app
from gateway.http.ask.recordings import Recordings
from gateway.http.server import HttpServer
from gateway.settings import GatewaySettings
from gateway.stages.mesh import Mesh
from services.runtime.observing.logs import get_logger
from services.runtime.server import Stage, run


def build(settings: GatewaySettings) -> Stage:
    """Builds the gateway with its HTTP edge.

    Args:
        settings: The settings.
    """
    mesh = Mesh(settings)
    stage = stage_of(mesh)
    recordings = Recordings()
    http = HttpServer(create_app(mesh, recordings=recordings), settings)

    async def warm_up() -> None:
        await stage.warm_up()
        await http.start()
        get_logger().info("page and REST", address=f"http://{http.address}/")

    async def close() -> None:
        await http.stop()
        recordings.close()
        await stage.close()

    return replace(stage, warm_up=warm_up, close=close, watch=http.watch)


if __name__ == "__main__":
    run(build, GatewaySettings)
