"""Traces: W3C context in, spans out to a file or over OTLP.

A turn is one trace: the gateway opens it, `open_channel` propagates it, and each server continues
it here.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.runtime.config.settings import ServiceSettings
from services.runtime.observing.logs import get_logger
from services.runtime.observing.trace_ids import IdProvider
from services.runtime.process.private_files import make_private

OTLP_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
EXPORT_TIMEOUT_S = 3

_propagator = TraceContextTextMapPropagator()
Provider = TracerProvider | IdProvider

_provider: ContextVar[Provider | None] = ContextVar("anima_tracer_provider", default=None)
_tracers: WeakKeyDictionary[trace.TracerProvider, trace.Tracer] = WeakKeyDictionary()


def tracer() -> trace.Tracer:
    """Returns the tracer of the server that serves the current call, or that of the process."""
    provider = _provider.get() or trace.get_tracer_provider()
    known = _tracers.get(provider)
    if known is None:
        # cached: creating one takes as long as creating five spans
        known = _tracers[provider] = provider.get_tracer("anima")
    return known


@contextmanager
def tracer_provider(provider: Provider) -> Iterator[None]:
    """Makes `tracer()` use a provider for the body.

    Servers that share a process (tests, `serving`) have separate providers; OpenTelemetry's global
    provider can be set only once.
    """
    reset = _provider.set(provider)
    try:
        yield
    finally:
        _provider.reset(reset)


def create_tracer_provider(settings: ServiceSettings) -> Provider:
    """Returns the provider configured by the settings and OpenTelemetry's variables."""
    exporter = _otlp_exporter()
    if settings.trace_file is None and exporter is None:
        return IdProvider()
    name = os.environ.get("OTEL_SERVICE_NAME") or f"anima-{settings.stage}"
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    if settings.trace_file is not None:
        provider.add_span_processor(SimpleSpanProcessor(SpanFile(settings.trace_file)))
    if exporter is not None:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def inject(metadata: MutableMapping[str, str]) -> None:
    """Adds the current trace context (`traceparent`, `tracestate`)."""
    _propagator.inject(metadata)


def extract(metadata: Mapping[str, str]) -> Context:
    """Returns the trace context sent by a caller."""
    return _propagator.extract(metadata, context=Context())


@contextmanager
def server_span(method: str, metadata: Mapping[str, str]) -> Iterator[Span]:
    """Opens the span of a call that is being served.

    Args:
        method: The path, "/package.Service/Method".
        metadata: The metadata sent by the caller.
    """
    service, _, name = method.strip("/").partition("/")
    with tracer().start_as_current_span(
        f"{service}/{name}",
        context=extract(metadata),
        kind=SpanKind.SERVER,
        attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


def end_span(span: Span, *, code_number: int, code_name: str) -> None:
    """Records the gRPC status on a span; CANCELLED ends an interruption and is not an error."""
    span.set_attribute("rpc.grpc.status_code", code_number)
    if code_name not in ("OK", "CANCELLED"):
        span.set_status(Status(StatusCode.ERROR, code_name))


class SpanFile(SpanExporter):
    """Appends finished spans to a file as JSON lines.

    Several processes may share a file: a line is one `write` on a descriptor opened for appending.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor: int | None = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        make_private(self._descriptor)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Appends the spans."""
        if self._descriptor is None:
            return SpanExportResult.FAILURE
        for span in spans:
            line = json.dumps(_span_fields(span), ensure_ascii=False) + "\n"
            os.write(self._descriptor, line.encode())
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Closes the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Does nothing: every span is written at once."""
        return True


def _span_fields(span: ReadableSpan) -> dict[str, Any]:
    context = span.get_span_context() or INVALID_SPAN_CONTEXT
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
        "parent_id": trace.format_span_id(span.parent.span_id) if span.parent else None,
        "name": span.name,
        "kind": span.kind.name.lower(),
        "service": span.resource.attributes.get("service.name"),
        "start_unix_ns": span.start_time,
        "end_unix_ns": span.end_time,
        "attributes": dict(span.attributes or {}),
        "events": [
            {
                "name": event.name,
                "at_unix_ns": event.timestamp,
                "attributes": dict(event.attributes or {}),
            }
            for event in span.events
        ],
        "status": span.status.status_code.name.lower(),
    }


def _otlp_exporter() -> SpanExporter | None:
    if not os.environ.get(OTLP_ENDPOINT):
        return None
    try:
        module = importlib.import_module("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
    except ImportError as error:
        get_logger().warning(
            "traces are not exported: the exporter is not installed",
            variable=OTLP_ENDPOINT,
            why=str(error),
            install="pip install 'anima[otlp]'",
        )
        return None
    # an unavailable collector must not delay a server's exit for the exporter's default of 10 s
    timeout_s = None if os.environ.get("OTEL_EXPORTER_OTLP_TIMEOUT") else EXPORT_TIMEOUT_S
    exporter: SpanExporter = module.OTLPSpanExporter(timeout=timeout_s)
    return exporter
