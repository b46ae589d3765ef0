"""Requests that cannot be decoded: the error for the caller instead of UNKNOWN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from services.runtime.errors import InvalidRequest


@dataclass(frozen=True)
class Undecodable:
    """A unary request that cannot be decoded.

    grpc.aio decodes a unary request before the handler runs; an exception there would become
    UNKNOWN.

    Attributes:
        error: The error for the caller.
    """

    error: InvalidRequest


def checked(deserializer: Any, request_streaming: bool) -> Any:
    """Returns a deserializer whose failure reaches the caller as INVALID_ARGUMENT.

    Args:
        deserializer: The one of the method; None: messages stay bytes.
        request_streaming: Whether the method takes a stream.
    """
    if deserializer is None:
        return None

    def deserialize(data: bytes) -> Any:
        try:
            return deserializer(data)
        except DecodeError as error:
            invalid = InvalidRequest(
                f"the message cannot be decoded: {error}", reason="UNDECODABLE"
            )
            if request_streaming:
                raise invalid from error
            return Undecodable(invalid)

    return deserialize
