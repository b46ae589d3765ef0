"""Spans that carry ids but record nothing, for a process without a trace exporter.

A recording span costs about 40 µs, and an answer has more than ten spans. Without an exporter
nobody reads them, but their ids are still needed: they connect the log lines of all services
that worked on a turn, and a service behind this one may have an exporter.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class IdTracer(trace.Tracer):
    """Starts spans that only have a context."""

    def start_span(  # type: ignore[override]
        self, name: str, context: Context | None = None, **_: Any
    ) -> Span:
        """Returns a span in the trace of its parent, or in a new trace, which is sampled."""
        parent = trace.get_current_span(context).get_span_context()
        span_id = random.getrandbits(64) or 1
        if parent.is_valid:
            own = SpanContext(
                parent.trace_id, span_id, False, parent.trace_flags, parent.trace_state
            )
        else:
            own = SpanContext(random.getrandbits(128) or 1, span_id, False, _SAMPLED)
        return NonRecordingSpan(own)

    @contextmanager
    def start_as_current_span(  # type: ignore[override]
        self, name: str, context: Context | None = None, **_: Any
    ) -> Iterator[Span]:
        """Makes such a span the current one for the body."""
        with trace.use_span(
            self.start_span(name, context), record_exception=False, set_status_on_exception=False
        ) as span:
            yield span


class IdProvider(trace.TracerProvider):
    """A provider with a single tracer."""

    def __init__(self) -> None:
        self._tracer = IdTracer()

    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        """Returns the tracer."""
        return self._tracer

    def shutdown(self) -> None:
        """Does nothing: there is nothing to export."""
