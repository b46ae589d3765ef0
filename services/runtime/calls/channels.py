"""Channels to the services of the mesh.

The token and the trace context are added at the start of a call, by wrapping the channel's
factories; the call objects are grpc.aio's own. Client interceptors could do the same, but in
grpc.aio an intercepted stream is another class that writes through a queue, so that write, cancel
and status differ from those of a plain stream (grpc/grpc#25449,
open-telemetry/opentelemetry-python-contrib#4259).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import grpc

from services.runtime.identity.bearer import AUTHORIZATION, bearer
from services.runtime.identity.call_tokens import CallToken
from services.runtime.observing.tracing import inject

DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_RECONNECT_BACKOFF_MS = 2000
CONNECT_TIMEOUT_MS = 5000
DEFAULT_PEER_TIMEOUT_S = 30.0

# gRFC A76: without it gRPC ignores `requestHashHeader` (1.85), and no call is ever sent.
os.environ["GRPC_EXPERIMENTAL_RING_HASH_SET_REQUEST_HASH_KEY"] = "true"


def open_channel(
    target: str,
    *,
    token: str | CallToken | None = None,
    health_service: str = "",
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    peer_timeout_s: float = DEFAULT_PEER_TIMEOUT_S,
    replica_key: str = "",
) -> grpc.aio.Channel:
    """Opens a channel; it connects on first use.

    Args:
        target: "host:port", or "dns:///name:port" for every replica behind a name.
        token: Sent with every call as `authorization: Bearer TOKEN`, or called for it.
        health_service: The full name of the service; calls are sent only to replicas that report it
            as SERVING. Empty: health is not watched.
        max_message_bytes: The limit of every message, in both directions.
        peer_timeout_s: How long a peer may be frozen or unreachable before its calls fail with
            UNAVAILABLE.
        replica_key: A header: calls with the same value go to the same replica while it is ready,
            and few move when replicas come or go. Empty: calls are spread evenly.

    Returns:
        The channel. No call is retried by policy: a retried `Remember` could store twice. Be
        careful with writes: `write` on a stream that has died raises
        `asyncio.InvalidStateError`,
        and the status is in `await call.code()`.
    """
    policy = {"ring_hash_experimental": {"requestHashHeader": replica_key}}
    config: dict[str, Any] = {
        "loadBalancingConfig": [policy if replica_key else {"round_robin": {}}]
    }
    if health_service:
        config["healthCheckConfig"] = {"serviceName": health_service}
    channel = grpc.aio.insecure_channel(
        target,
        options=[
            ("grpc.service_config", json.dumps(config)),
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
            *keepalive_options(peer_timeout_s),
            ("grpc.initial_reconnect_backoff_ms", 100),
            # despite its name this is the timeout of one connection attempt
            ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT_MS),
            ("grpc.max_reconnect_backoff_ms", MAX_RECONNECT_BACKOFF_MS),
            # otherwise a channel inherits the failures of other channels to that address
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.dns_min_time_between_resolutions_ms", 5000),
            # a proxy from the environment is for the web, not for the mesh
            ("grpc.enable_http_proxy", 0),
        ],
    )
    return _MeshChannel(channel, token if callable(token) else lambda: token)


def keepalive_options(peer_timeout_s: float) -> list[tuple[str, int]]:
    """Returns the options that make either side notice a dead peer within a time, s."""
    timeout_ms = round(peer_timeout_s * 1000 / 3)
    return [
        ("grpc.keepalive_time_ms", 2 * timeout_ms),
        ("grpc.keepalive_timeout_ms", timeout_ms),
        # otherwise a frozen peer is noticed only after a minute, regardless of keepalive_timeout
        ("grpc.http2.ping_timeout_ms", timeout_ms),
    ]


def call_metadata(
    token: str | None = None, metadata: Mapping[str, str] | None = None
) -> tuple[tuple[str, str], ...]:
    """Returns the metadata of a call: the given entries, the token and the trace context."""
    entries = dict(metadata or {})
    if token:
        entries.setdefault(AUTHORIZATION, bearer(token))
    inject(entries)
    return tuple(entries.items())


class _MeshChannel(grpc.aio.Channel):
    """A channel whose calls carry token and trace context."""

    def __init__(self, channel: grpc.aio.Channel, token: CallToken) -> None:
        self._channel = channel
        self._token = token

    async def __aenter__(self) -> Self:
        await self._channel.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self._channel.__aexit__(exc_type, exc_val, exc_tb)

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._carrying(self._channel.unary_unary(*args, **kwargs))

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._carrying(self._channel.unary_stream(*args, **kwargs))

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._carrying(self._channel.stream_unary(*args, **kwargs))

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._carrying(self._channel.stream_stream(*args, **kwargs))

    def _carrying(self, multicallable: Any) -> Any:
        def begin(*args: Any, metadata: Any = None, **kwargs: Any) -> Any:
            given = tuple(metadata or ())
            added = call_metadata(self._token())
            taken = {key for key, _ in given}
            merged = (*given, *(entry for entry in added if entry[0] not in taken))
            return multicallable(*args, metadata=merged, **kwargs)

        return begin
