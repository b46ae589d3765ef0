"""The spans of a turn, measured once for the client's waterfall and for the trace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context

from anima.gateway.v1 import gateway_pb2 as pb
from gateway import metrics
from gateway.turn.timing.waits import waits_us
from services.runtime.observing.tracing import tracer
from services.runtime.process.clock import loop_time_s


class StageSpan:
    """A stretch of time in which a stage works; it starts when it is created."""

    def __init__(self, log: SpanLog, stage: str, segment: int, started_at: float) -> None:
        self._log = log
        self._stage = stage
        self._segment = segment
        self._started_at = started_at
        self._first_output_at: float | None = None
        self._ended_at: float | None = None
        attributes = {"anima.turn_id": log.turn_id}
        if segment:
            attributes["anima.segment"] = str(segment)
        name = f"{stage} {segment}" if segment else stage
        self._span = tracer().start_span(
            name,
            context=log.context,
            attributes=attributes,
            start_time=log.unix_ns(started_at),
        )

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes the span the parent of calls that are started in the block."""
        with trace.use_span(self._span, end_on_exit=False):
            yield

    def first_output(self) -> None:
        """Records the first output; later calls have no effect."""
        if self._first_output_at is None:
            self._first_output_at = loop_time_s()
            at_unix_ns = self._log.unix_ns(self._first_output_at)
            self._span.add_event("first output", timestamp=at_unix_ns)

    def end(self) -> None:
        """Ends the span; later calls have no effect."""
        if self._ended_at is None:
            self._ended_at = loop_time_s()
            self._span.end(self._log.unix_ns(self._ended_at))

    def to_message(self) -> pb.StageSpan:
        """Returns the span for the client, in microseconds from the end of the question."""
        zero = self._log.asked_at
        ended_at = loop_time_s() if self._ended_at is None else self._ended_at
        span = pb.StageSpan(
            stage=self._stage,
            segment=self._segment,
            start_us=round((self._started_at - zero) * 1e6),
            duration_us=max(0, round((ended_at - self._started_at) * 1e6)),
        )
        if self._first_output_at is not None:
            span.first_output_us = round((self._first_output_at - zero) * 1e6)
        return span


class SpanLog:
    """All spans of a turn under one parent in the trace.

    Args:
        turn_id: The turn.
        asked_at: The end of the question on the loop's clock, seconds; the zero of the waterfall.
    """

    def __init__(self, *, turn_id: str, asked_at: float) -> None:
        self.turn_id = turn_id
        self.asked_at = asked_at
        # The wall clock is read only once, so that a jump of it cannot stretch a span.
        self._zero_unix_ns = time.time_ns() - round(loop_time_s() * 1e9)
        # A turn is a trace of its own: it could not be found under the span of a conversation that
        # lasts for hours.
        self._turn = tracer().start_span(
            "turn",
            context=Context(),
            attributes={"anima.turn_id": turn_id},
            start_time=self.unix_ns(asked_at),
        )
        self.context = trace.set_span_in_context(self._turn)
        self._spans: list[StageSpan] = []

    @contextmanager
    def current(self) -> Iterator[None]:
        """Makes the turn the parent of calls that are started in the block."""
        with trace.use_span(self._turn, end_on_exit=False):
            yield

    def begin(self, stage: str, segment: int = 0, *, started_at: float | None = None) -> StageSpan:
        """Starts a span now, or with a start that lies in the past."""
        span = StageSpan(self, stage, segment, loop_time_s() if started_at is None else started_at)
        self._spans.append(span)
        return span

    def unix_ns(self, at: float) -> int:
        """Returns a time on the loop's clock as nanoseconds since 1970."""
        return self._zero_unix_ns + round(at * 1e9)

    def elapsed_us(self) -> int:
        """Returns the time since the end of the question, microseconds."""
        return max(0, round((loop_time_s() - self.asked_at) * 1e6))

    def finish(self, reason: str, *, first_media_us: int = 0) -> list[pb.StageSpan]:
        """Ends all open spans and the turn's own, and counts the waits.

        Args:
            reason: Why the turn has ended.
            first_media_us: From the end of the question to the first media; 0 if there was none.

        Returns:
            The spans by start.
        """
        for span in self._spans:
            span.end()
        messages = [span.to_message() for span in self._spans]
        self._turn.set_attribute("anima.end_reason", reason)
        if first_media_us:
            self._turn.set_attribute("anima.first_media_us", first_media_us)
            for stage, wait_us in waits_us(messages, first_media_us).items():
                self._turn.set_attribute(f"anima.wait.{stage}_us", wait_us)
                metrics.WAIT_SECONDS.labels(stage).observe(wait_us / 1e6)
        self._turn.end(self.unix_ns(loop_time_s()))
        return sorted(messages, key=lambda span: (span.start_us, span.segment))
