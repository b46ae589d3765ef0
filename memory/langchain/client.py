"""Calls the memory service without an event loop, for LangChain's synchronous interfaces."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import grpc

from anima.memory import v1 as wire
from services.runtime.calls.channels import call_metadata
from services.runtime.errors import AnimaError, error_from_rpc

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class MemoryClient:
    """A connection to a memory service. Thread-safe."""

    def __init__(self, address: str, *, token: str | None, timeout_s: float) -> None:
        """Creates a client; it connects on first use.

        Args:
            address: "host:port".
            token: The token that the service requires; None for no token.
            timeout_s: The maximum duration of a call, s.
        """
        self._address = address
        self._token = token
        self._timeout_s = timeout_s
        self._channel: grpc.Channel | None = None
        self._lock = threading.Lock()

    @property
    def stub(self) -> Any:
        """The gRPC stub of the service."""
        with self._lock:
            if self._channel is None:
                # A proxy from the environment is meant for the web, not for the mesh.
                options = [("grpc.enable_http_proxy", 0)]
                self._channel = grpc.insecure_channel(self._address, options=options)
            return wire.MemoryServiceStub(self._channel)

    def call(
        self, method: Callable[..., ResponseT], request: RequestT, *, timeout_s: float | None = None
    ) -> ResponseT:
        """Makes a call.

        Raises:
            AnimaError: The service rejected it or is unavailable; the text states why.
        """
        try:
            return method(
                request,
                timeout=timeout_s or self._timeout_s,
                metadata=call_metadata(self._token),
            )
        except grpc.RpcError as error:
            raise _told(error) from error

    def close(self) -> None:
        """Closes the connection; a later call opens it again."""
        with self._lock:
            if self._channel is not None:
                self._channel.close()
                self._channel = None


def _told(error: Any) -> AnimaError:
    # An error of the synchronous API has everything that is read here.
    return error_from_rpc(error)
