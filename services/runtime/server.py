"""Starts, watches and drains every server of Anima."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import grpc
from grpc_health.v1 import (  # type: ignore[import-untyped]
    health,
    health_pb2,
    health_pb2_grpc,
)
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]
from opentelemetry import trace

from services.runtime.calls.admission import Admission
from services.runtime.calls.channels import keepalive_options
from services.runtime.calls.descriptors import raise_descriptor_limit
from services.runtime.calls.interceptor import CallGuard, CallInterceptor
from services.runtime.config.known_variables import refuse_unknown
from services.runtime.config.settings import ServiceSettings, SettingsError, split_address
from services.runtime.errors import AnimaError
from services.runtime.identity.verifier import Verifier, verifier_of
from services.runtime.limits.progress import StreamLimits, check_limits
from services.runtime.limits.rates import requests_a_minute
from services.runtime.observing.logs import configure_logging, get_logger
from services.runtime.observing.metrics import ServerMetrics
from services.runtime.observing.metrics_page import MetricsPage
from services.runtime.observing.tracing import create_tracer_provider, tracer_provider
from services.runtime.process import event_loop
from services.runtime.process.heap import (
    collect_regularly,
    give_back_regularly,
    set_up_allocator,
    settle,
)
from services.runtime.process.private_files import keep_private
from services.runtime.process.stop_signals import stop_signals
from services.runtime.process.tasks import Tasks

S = TypeVar("S", bound=ServiceSettings)

MIN_PING_INTERVAL_MS = 1_000
HANDSHAKE_TIMEOUT_MS = 5_000  # gRPC's default is two minutes
MOST_PENDING_CALLS = 3_000
LINGER_S = 0.5
DOOR_S = 0.1
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def _nothing() -> None:
    """Returns at once: a service with only gRPC calls has nothing else to wait for."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The description of a service for its server.

    Attributes:
        service: The full name, "anima.asr.v1.AsrService"; the health name for readiness.
        add_to_server: Adds the servicer.
        warm_up: Loads and warms up; calls are rejected and readiness is NOT_SERVING until it has
            returned.
        counted_methods: The names of the methods that occupy a place of the capacity.
        limits: The limits of each streaming method, by its name.
        by_address: Whether people arrive here, so that callers without a token of their own are
            told apart by address; the callers of other services are gateways.
        close: Releases the service's resources; runs after the last call has ended.
        draining: Called when the server starts to drain, to notify connected clients.
        until_idle: Waits for work that the service does for clients of other protocols; a drain
        waits for it as it waits for open calls.
        until_ready: Waits after the warm-up for everything the service needs to do its work.
            Calls
        are served meanwhile, and readiness is NOT_SERVING.
        watch: Runs after the warm-up for a service that may fail and recover. It receives a
        `report(reason)` callback: a reason rejects calls and sets NOT_SERVING, an empty one
        restores service.
        verifier: Checks tokens; None: one is made from the settings.
    """

    service: str
    add_to_server: Callable[[grpc.aio.Server], None]
    warm_up: Callable[[], Awaitable[None]]
    counted_methods: frozenset[str]
    limits: Mapping[str, StreamLimits]
    close: Callable[[], Awaitable[None]]
    by_address: bool = False
    draining: Callable[[], None] = lambda: None
    until_idle: Callable[[], Awaitable[None]] = _nothing
    until_ready: Callable[[], Awaitable[None]] = _nothing
    watch: Callable[[Callable[[str], Awaitable[None]]], Awaitable[None]] | None = None
    verifier: Verifier | None = None


class Server:
    """A running server. Created by `serving`.

    Attributes:
        address: The address, "127.0.0.1:50051", with the actual port.
        metrics_address: The address of `/metrics`; None if there is none.
        provider: Its trace provider.
    """

    def __init__(
        self,
        *,
        stage: Stage,
        settings: ServiceSettings,
        guard: CallGuard,
        grpc_server: grpc.aio.Server,
        health_servicer: health.aio.HealthServicer,
        address: str,
        metrics_address: str | None,
    ) -> None:
        self.address = address
        self.metrics_address = metrics_address
        self._stage = stage
        self._settings = settings
        self._guard = guard
        self._grpc_server = grpc_server
        self._health = health_servicer
        self.provider = guard.provider
        self._tasks = Tasks(f"{settings.stage} server", on_failure=self._not_warmed)
        self._warmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks.start(self._warm_up(), name=f"{settings.stage} warm-up")

    @property
    def ready(self) -> asyncio.Future[None]:
        """Completes when the server is ready; raises any error of the warm-up."""
        return asyncio.shield(self._warmed)

    async def drain(self, grace_s: float | None = None) -> None:
        """Shuts down gracefully: NOT_SERVING, no new calls; open calls and clients may finish.

        Args:
            grace_s: The time limit; None: `drain_timeout_s`.
        """
        grace = self._settings.drain_timeout_s if grace_s is None else grace_s
        self._guard.closed_because = f"{self._stage.service} is shutting down"
        self._guard.closed_reason = "DRAINING"
        self._guard.metrics.draining.labels(self._stage.service).set(1)
        await self._health.enter_graceful_shutdown()
        self._stage.draining()
        # Calls in transit get UNAVAILABLE and the reason. After `stop` gRPC itself cancels calls
        # that it has not passed to us yet with CANCELLED, as if the caller had cancelled them.
        await asyncio.sleep(min(DOOR_S, grace))
        stopping = self._tasks.start(self._grpc_server.stop(grace), name="drain")
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._guard.idle.wait()
                await self._stage.until_idle()
        # Health.Watch and reflection streams stay open for ever; stop(grace) alone would wait for
        # them.
        await self._grpc_server.stop(min(LINGER_S, grace))
        await stopping

    async def stop(self) -> None:
        """Stops at once: open calls are cancelled, and their handlers end before this returns."""
        self._warmed.cancel()
        await self._tasks.close()
        await self._grpc_server.stop(None)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._guard.idle.wait(), LINGER_S)

    async def _warm_up(self) -> None:
        with tracer_provider(self._guard.provider):
            try:
                await self._stage.warm_up()
            except Exception as error:
                self._guard.closed_because = f"{self._stage.service} could not warm up"
                self._guard.closed_reason = "WARM_UP_FAILED"
                if isinstance(error, AnimaError | SettingsError):
                    get_logger().error("warm-up failed", message=str(error))
                else:
                    get_logger().error("warm-up failed", exc_info=error)
                self._not_warmed(error)
                return
        if self._guard.closed_reason == "WARMING_UP":  # otherwise the drain has started meanwhile
            await self._serve()
        if not self._warmed.done():
            self._warmed.set_result(None)

    def _not_warmed(self, error: BaseException) -> None:
        if not self._warmed.done():
            self._warmed.set_exception(error)
            self._warmed.exception()  # it was logged; marks it as retrieved

    async def _serve(self) -> None:
        self._guard.closed_because = ""
        await self._stage.until_ready()
        if self._guard.closed_reason == "DRAINING":
            return
        await self._health.set(self._stage.service, _SERVING)
        self._tasks.start(self._watch(), name=f"{self._settings.stage} watch")
        get_logger().info(
            "ready",
            stage=self._settings.stage,
            address=self.address,
            metrics=self.metrics_address,
            capacity=self._settings.capacity,
        )

    async def _watch(self) -> None:
        if self._stage.watch is None:
            return
        try:
            await self._stage.watch(self._report)
        except Exception as error:
            get_logger().error("watch failed", exc_info=error)
            await self._report(f"{self._stage.service} does not know its own state")

    async def _report(self, why: str) -> None:
        if self._guard.closed_reason == "DRAINING":
            return
        self._guard.closed_because = why
        self._guard.closed_reason = "NOT_READY"
        # once the drain has started, the health service ignores changes
        await self._health.set(self._stage.service, _NOT_SERVING if why else _SERVING)
        get_logger().warning("readiness changed", stage=self._settings.stage, why=why or "ready")


@asynccontextmanager
async def serving(stage: Stage, settings: ServiceSettings) -> AsyncIterator[Server]:
    """Serves for the body.

    The listener is up at once; the warm-up runs concurrently with the body, see `Server.ready`.
    At the end open calls are cancelled; call `Server.drain` first to let them finish.

    Raises:
        SettingsError: The server cannot listen on an address, or cannot check tokens.
        ValueError: A streaming method of the stage has no limits.
    """
    check_limits(stage.service, stage.limits)
    verifier = stage.verifier or verifier_of(settings)
    metrics = ServerMetrics()
    metrics.start(stage.service, stage.counted_methods, capacity=settings.capacity)
    guard = CallGuard(
        stage=settings.stage,
        verifier=verifier,
        admission=Admission(settings.capacity, per_caller=settings.capacity_per_caller),
        counted_methods=stage.counted_methods,
        limits=stage.limits,
        by_address=stage.by_address,
        requests=requests_a_minute(settings.requests_per_minute),
        metrics=metrics,
        provider=create_tracer_provider(settings),
        closed_because=f"{stage.service} is still warming up; try again",
        closed_reason="WARMING_UP",
    )
    page = (
        MetricsPage(metrics.registry, settings.metrics_listen, hosts=settings.metrics_hosts)
        if settings.metrics_listen
        else None
    )
    server: Server | None = None
    try:
        grpc_server, health_servicer = await _build(stage, settings, guard)
        address = _bind(grpc_server, settings)
        await grpc_server.start()
        server = Server(
            stage=stage,
            settings=settings,
            guard=guard,
            grpc_server=grpc_server,
            health_servicer=health_servicer,
            address=address,
            metrics_address=page.address if page else None,
        )
        yield server
    finally:
        if server is not None:
            await server.stop()
        await verifier.close()
        await stage.close()
        if page is not None:
            page.close()
        await asyncio.to_thread(guard.provider.shutdown)  # sends the remaining spans


def run(build: Callable[[S], Stage], settings_class: type[S]) -> NoReturn:
    """Serves until SIGTERM, SIGINT or SIGHUP; for `__main__`.

    The first signal drains: health NOT_SERVING, open streams finish within `drain_timeout_s`,
    telemetry is flushed. A second signal ends the process at once. Exit codes: 0 drained, 1 the
    warm-up failed, 2 a setting is invalid.
    """
    keep_private()
    try:
        refuse_unknown(settings_class, os.environ)
        settings = settings_class.from_environment()
        configure_logging(settings)
        set_up_allocator()
        raise_descriptor_limit()
        code = event_loop.run(_run(build, settings))
    except SettingsError as error:
        sys.stderr.write(f"anima {settings_class.stage}: {error}\n")
        code = 2
    _exit(code)


async def _run(build: Callable[[S], Stage], settings: S) -> int:
    stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            _exit(128 + number)
        get_logger().info("draining", signal=number.name, timeout_s=settings.drain_timeout_s)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in stop_signals():
        loop.add_signal_handler(number, on_signal, number)
    try:
        stage = build(settings)
    except AnimaError as error:
        raise SettingsError(error.message) from error
    async with serving(stage, settings) as server:
        trace.set_tracer_provider(server.provider)
        tasks = Tasks(settings.stage)
        try:
            ready = server.ready
            stopping = tasks.start(stop.wait(), name="signal")
            either: set[asyncio.Future[Any]] = {stopping, ready}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if ready.done() and ready.exception() is not None:
                return 1
            settle()
            tasks.start(collect_regularly(), name="garbage")
            tasks.start(give_back_regularly(), name="heap")
            await stopping
            ready.cancel()
        finally:
            await tasks.close()
        await server.drain()
    get_logger().info("stopped")
    return 0


def _exit(code: int) -> NoReturn:
    # a busy compute thread would delay a normal exit beyond the promised time
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def _build(
    stage: Stage, settings: ServiceSettings, guard: CallGuard
) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    age_ms = round(settings.max_connection_age_s * 1000)
    server = grpc.aio.server(
        interceptors=[CallInterceptor(guard)],
        options=[
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", settings.max_message_bytes),
            # otherwise a second server on the same port would start and take half of the calls
            ("grpc.so_reuseport", 0),
            # the default answers a client's keepalive with GOAWAY "too_many_pings"
            ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_INTERVAL_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            *keepalive_options(settings.peer_timeout_s),
            ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
            ("grpc.max_connection_idle_ms", round(settings.max_connection_idle_s * 1000)),
            ("grpc.max_allowed_incoming_connections", settings.max_connections),
            # by default some calls beyond a thousand are cut off instead of refused
            ("grpc.server.max_pending_requests", MOST_PENDING_CALLS),
            ("grpc.server.max_pending_requests_hard_limit", MOST_PENDING_CALLS),
            # no max_connection_age_grace_ms: the default is infinite, and streams are never cut
            *([("grpc.max_connection_age_ms", age_ms)] if age_ms else []),
        ],
    )
    health_servicer = health.aio.HealthServicer()
    await health_servicer.set(stage.service, _NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    stage.add_to_server(server)
    if settings.reflection:
        names = (stage.service, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    return server, health_servicer


def _bind(server: grpc.aio.Server, settings: ServiceSettings) -> str:
    host, _ = split_address("listen", settings.listen)
    try:
        port = server.add_insecure_port(settings.listen)
    except RuntimeError as error:
        raise SettingsError(
            f"ANIMA_{settings.stage.upper()}_LISTEN: cannot listen on {settings.listen}: {error}"
        ) from error
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
