"""The streams of one turn to its stages: opened, stopped and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway import metrics
from gateway.settings import GatewaySettings
from gateway.stages.opening import open_stream
from gateway.stages.spec import STAGES
from gateway.stages.stream import StageStream
from gateway.turn.state import TurnState
from gateway.turn.timing.spans import SpanLog, StageSpan


class TurnStreams:
    """All streams of one turn.

    Args:
        state: The answer in progress.
        settings: The settings of the gateway.
        spans: The spans of the turn, the parents of the streams.
        stage_is_full: Called with the name of a full stage and the time until it may have a place,
            ms.
    """

    def __init__(
        self,
        state: TurnState,
        *,
        settings: GatewaySettings,
        spans: SpanLog,
        stage_is_full: Callable[[str, int], None],
    ) -> None:
        self._state = state
        self._settings = settings
        self._spans = spans
        self._stage_is_full = stage_is_full
        self._streams: list[StageStream[Any, Any]] = []

    async def open(
        self,
        stage: str,
        method: Callable[..., Any],
        config: Any,
        *,
        span: StageSpan | None = None,
        timeout_ms: int | None = None,
    ) -> StageStream[Any, Any]:
        """Opens a stream to a stage, under the stage's span or else the turn's.

        Args:
            stage: The name of the stage.
            method: The method of the stub.
            config: The first request.
            span: The stage's span; None: the turn's.
            timeout_ms: How long opening may take; None: the limit set for the stage.

        Raises:
            StageFailed: The stage is unavailable or full, or rejects the config.
        """
        allowed_ms = self._settings.stages[stage].open_ms
        with self._spans.current() if span is None else span.current():
            stream: StageStream[Any, Any] = await open_stream(
                stage,
                method,
                config,
                route=self._state.question.route,
                timeout_ms=allowed_ms if timeout_ms is None else min(timeout_ms, allowed_ms),
                wait_for_place=STAGES[stage].waits_for_place,
                on_full=lambda retry_after_ms: self._stage_is_full(stage, retry_after_ms),
            )
        self._streams.append(stream)
        return stream

    def is_stale(self, stage: str, header: common.ChunkHeader) -> bool:
        """Returns whether a message of a stage belongs to an old epoch, and counts it if so."""
        stale = header.epoch < self._state.question.epoch
        if stale:
            self._state.stale += 1
            metrics.stale_dropped(stage, 1)
        return stale

    async def stop(self, epoch: int) -> list[pb.StageStop]:
        """Interrupts all stages that are working and waits for their confirmations."""
        timeout_ms = self._settings.stop_timeout_ms
        running = [stream for stream in self._streams if not stream.ended]
        stops = await asyncio.gather(*(s.stop(epoch, timeout_ms=timeout_ms) for s in running))
        self._state.stale += sum(stream.stale for stream in running)
        return list(stops)

    async def close(self) -> None:
        """Closes all streams."""
        await asyncio.gather(*(stream.close() for stream in self._streams))
