"""Without an exporter spans record nothing, but their ids still link related log lines."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider

from services.runtime.config.settings import ServiceSettings
from services.runtime.observing.trace_ids import IdProvider
from services.runtime.observing.tracing import (
    create_tracer_provider,
    inject,
    server_span,
    tracer,
    tracer_provider,
)


def test_provider_records_only_where_spans_are_exported(tmp_path: Path) -> None:
    assert isinstance(create_tracer_provider(ServiceSettings()), IdProvider)
    recording = create_tracer_provider(ServiceSettings(trace_file=tmp_path / "spans.jsonl"))
    assert isinstance(recording, TracerProvider)
    recording.shutdown()


def test_span_continues_the_trace_of_its_caller() -> None:
    traceparent = f"00-{'a' * 32}-{'b' * 16}-00"
    sent: MutableMapping[str, str] = {}
    with (
        tracer_provider(IdProvider()),
        server_span("/anima.tts.v1.TtsService/Synthesize", {"traceparent": traceparent}) as span,
    ):
        assert not span.is_recording()
        inject(sent)
    version, trace_id, span_id, flags = sent["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", "a" * 32, "00")
    assert span_id != "b" * 16


def test_new_trace_is_sampled_so_that_a_service_behind_may_export_it() -> None:
    sent: MutableMapping[str, str] = {}
    with tracer_provider(IdProvider()):
        first = tracer().start_span("turn", context=Context())
        second = tracer().start_span("turn", context=Context())
        with trace.use_span(first):
            inject(sent)
    assert sent["traceparent"].endswith("-01")
    assert first.get_span_context().trace_id != second.get_span_context().trace_id
