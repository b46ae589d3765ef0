"""One turn of `bench.orchestration`, as the client sees it over gRPC."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anima.gateway import v1 as gateway

if TYPE_CHECKING:
    from anima.gateway.v1.gateway_pb2_grpc import GatewayServiceAsyncStub


@dataclass(kw_only=True)
class TurnFigures:
    """One turn, seconds from the question; infinite if nothing arrived."""

    first_audio_s: float = float("inf")
    done_s: float = float("inf")
    silence_s: float = float("inf")
    """The time from the stop command to the last media message."""
    stale_messages: int = 0
    """Media messages received after the interruption was confirmed."""


async def turn(
    stub: GatewayServiceAsyncStub, *, pacing: gateway.Pacing.ValueType, stop_after_s: float | None
) -> TurnFigures:
    """Runs a conversation of one turn."""
    call: Any = stub.Converse()
    config = gateway.ConverseConfig(audio_only=True, language="en", pacing=pacing)
    await call.write(gateway.ConverseRequest(config=config))
    await call.read()
    asked_at = time.perf_counter()
    await call.write(gateway.ConverseRequest(text=gateway.TextInput(text="Tell me a story.")))
    figures = TurnFigures()
    stopping = None
    if stop_after_s is not None:
        stopping = asyncio.create_task(_stop(call, asked_at + stop_after_s))
    interrupted = False
    last_media_at = asked_at
    while True:
        event = await call.read()
        now = time.perf_counter()
        kind = event.WhichOneof("event")
        if kind == "media":
            figures.first_audio_s = min(figures.first_audio_s, now - asked_at)
            figures.stale_messages += interrupted
            last_media_at = now
        elif kind == "turn_interrupted":
            interrupted = True
        elif kind == "turn_ended":
            figures.done_s = now - asked_at
            break
    if stopping is not None:
        figures.silence_s = max(0.0, last_media_at - await stopping)
    # Messages that arrive after the end would be stale as well.
    await call.done_writing()
    while (event := await call.read()) and hasattr(event, "WhichOneof"):
        figures.stale_messages += event.WhichOneof("event") == "media"
    return figures


async def _stop(call: Any, at: float) -> float:
    await asyncio.sleep(at - time.perf_counter())
    stopped_at = time.perf_counter()
    await call.write(gateway.ConverseRequest(stop=gateway.Stop()))
    return stopped_at
