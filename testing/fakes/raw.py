"""Handlers whose responses may be bytes that are sent unchanged: for invalid messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc


class RawServer:
    """Registers handlers with a server so that they may also write `bytes`."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        self._server.add_generic_rpc_handlers(tuple(_Raw(handler) for handler in handlers))

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Does nothing: registered handlers would take precedence over the generic ones."""


class _Raw(grpc.GenericRpcHandler):
    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def service_name(self) -> str:
        return str(self._handler.service_name())

    def service(self, details: Any) -> Any:
        found = self._handler.service(details)
        if found is None:
            return None
        return found._replace(response_serializer=_raw(found.response_serializer))


def _raw(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    return lambda message: message if isinstance(message, bytes) else serialize(message)
