"""One connection with a scripted client: how its owner sees failing tasks."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from typing import Any, ClassVar, cast

from starlette.datastructures import Headers
from starlette.websockets import WebSocket

from gateway.realtime.client_events import ClientConfig
from gateway.realtime.connection import Connection
from gateway.realtime.ending import TRY_LATER
from gateway.realtime.histories import Histories
from gateway.realtime.limits import EdgeLimits
from gateway.stages.mesh import Mesh
from gateway.webrtc.link import LiveMedia
from gateway.webrtc.program import Playing
from testing.fakes.direct import DirectStages
from tests.unit.gateway.conversing import run


class SilentClient:
    """Sends nothing and reads nothing."""

    headers = Headers()
    scope: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self.closed: tuple[int, str] | None = None

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send_text(self, data: str) -> None:
        await asyncio.Event().wait()

    async def close(self, code: int, reason: str) -> None:
        self.closed = code, reason


class Client(SilentClient):
    """Sends events and keeps the responses."""

    def __init__(self, *events: dict[str, Any]) -> None:
        super().__init__()
        self._events = [json.dumps(event) for event in events]
        self.received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def receive(self) -> dict[str, Any]:
        if self._events:
            return {"type": "websocket.receive", "text": self._events.pop(0)}
        return await super().receive()

    async def send_text(self, data: str) -> None:
        self.received.put_nowait(json.loads(data))

    async def next(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while (event := await self.received.get())["type"] != kind:
                pass
        return event


def typed(text: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    return {"type": "conversation.item.create", "item": item, **more}


def connection(client: SilentClient, mesh: Mesh, **limits: Any) -> Connection:
    return Connection(
        websocket=cast(WebSocket, client),
        mesh=mesh,
        verifier=mesh.verifier,
        limits=EdgeLimits(**limits),
        live=LiveMedia(mesh),
        histories=Histories(most=1),
        config=ClientConfig(),
        place=lambda _: nullcontext(),
    )


def test_report_of_the_pump_to_a_client_that_does_not_read_ends_the_connection() -> None:
    """The pump of WebRTC is a separate task: an error raised into it would stop the media."""

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


def test_what_waits_to_be_asked_is_bounded() -> None:
    async def main(stages: DirectStages) -> None:
        client = Client(
            typed("a" * 5_000),
            typed("b" * 4_000, event_id="e2"),
            *[typed("") for _ in range(4_000)],
            typed("c"),
            {"type": "response.create"},
        )
        page = connection(client, stages.mesh(), burst_messages=10_000, max_waiting_messages=10_000)
        serving = asyncio.create_task(page.serve())
        error = (await client.next("error"))["error"]
        assert error["code"] == "question_too_long"
        assert error["event_id"] == "e2"
        assert "9001 characters" in error["message"]
        asked = (await client.next("response.created"))["anima"]["question"]
        assert len(asked) <= 8_000
        assert set(asked) == {"a", "\n"}
        serving.cancel()
        await asyncio.wait([serving])

    run(main)
