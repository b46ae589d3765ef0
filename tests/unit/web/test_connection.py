"""One connection whose client is a script: what its owner sees of tasks that fail."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from starlette.datastructures import Headers
from starlette.websockets import WebSocket

from gateway.realtime.client_events import ClientConfig
from gateway.realtime.connection import TRY_LATER, Connection
from gateway.realtime.histories import Histories
from gateway.realtime.limits import EdgeLimits
from gateway.stages.mesh import Mesh
from gateway.webrtc.link import LiveMedia
from gateway.webrtc.program import Playing
from tests.fakes.direct import DirectStages
from tests.unit.gateway.conversing import run


class SilentClient:
    """Sends nothing and reads nothing."""

    headers = Headers()

    def __init__(self) -> None:
        self.closed: tuple[int, str] | None = None

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send_text(self, data: str) -> None:
        await asyncio.Event().wait()

    async def close(self, code: int, reason: str) -> None:
        self.closed = code, reason


def connection(client: SilentClient, mesh: Mesh, **limits: Any) -> Connection:
    return Connection(
        websocket=cast(WebSocket, client),
        mesh=mesh,
        limits=EdgeLimits(**limits),
        live=LiveMedia(mesh),
        histories=Histories(most=1),
        config=ClientConfig(),
    )


def test_report_of_the_pump_to_a_client_that_does_not_read_ends_the_connection() -> None:
    """The pump of WebRTC is a task of its own: an error raised into it would stop the media."""

    async def main(stages: DirectStages) -> None:
        client = SilentClient()
        page = connection(client, stages.mesh(), max_waiting_messages=10)
        serving = asyncio.create_task(page.serve())
        await asyncio.sleep(1)
        playing = Playing(turn_id="t", epoch=0, sample=0, sample_rate_hz=24_000, running=True)
        for _ in range(11):
            page._link._playing(playing)
        await serving
        assert client.closed == (TRY_LATER, "the client reads too slowly")

    run(main)
