"""The metrics of a server for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
)

FIRST_RESPONSE_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 5, 10)
STREAM_BUCKETS_S = (0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_CALL = ("service", "method")


class ServerMetrics:
    """The metrics of one server.

    Labels are `service` and `method` as in the call's path, never user data.

    Attributes:
        registry: The registry, including metrics that a stage adds to the default registry.
        active_streams: Streams that occupy a place of the capacity.
        capacity: Places.
        draining: 1 after SIGTERM.
        rejected: Calls rejected because all places were taken.
        stalled: Calls ended because their client made no progress, by the reason of the error.
        calls: Finished calls by gRPC status.
        messages: Messages of streams and unary calls, `direction` "received" or "sent".
        stream_seconds: From the call's start to its end.
        first_response_seconds: From the call's start to the first message sent.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # metrics of the stage and of the process: prometheus_client's default registry
        self.registry.register(REGISTRY)
        self.active_streams = Gauge(
            "anima_active_streams", "Streams that occupy a place.", _CALL, registry=self.registry
        )
        self.capacity = Gauge(
            "anima_capacity", "Places for streams.", ("service",), registry=self.registry
        )
        self.draining = Gauge(
            "anima_draining", "1 while the server drains.", ("service",), registry=self.registry
        )
        self.rejected = Counter(
            "anima_rejected", "Calls rejected at capacity.", _CALL, registry=self.registry
        )
        self.stalled = Counter(
            "anima_stalled",
            "Calls ended because their client made no progress.",
            (*_CALL, "reason"),
            registry=self.registry,
        )
        self.calls = Counter(
            "anima_calls", "Finished calls.", (*_CALL, "code"), registry=self.registry
        )
        self.messages = Counter(
            "anima_messages", "Messages.", (*_CALL, "direction"), registry=self.registry
        )
        self.stream_seconds = Histogram(
            "anima_stream_seconds",
            "Time from start to end of a call.",
            _CALL,
            buckets=STREAM_BUCKETS_S,
            registry=self.registry,
        )
        self.first_response_seconds = Histogram(
            "anima_first_response_seconds",
            "Time from the start of a call to its first message.",
            _CALL,
            buckets=FIRST_RESPONSE_BUCKETS_S,
            registry=self.registry,
        )

    def start(self, service: str, counted_methods: Iterable[str], *, capacity: int) -> None:
        """Exports what autoscalers read before the first call.

        A series that is missing until then would make an idle replica one without a sample.
        """
        self.capacity.labels(service).set(capacity)
        self.draining.labels(service).set(0)
        for method in counted_methods:
            self.active_streams.labels(service, method)
            self.rejected.labels(service, method)
