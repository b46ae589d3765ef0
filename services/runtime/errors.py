"""The errors of Anima and their wire format.

Code raises an `AnimaError`. The interceptor converts it to a gRPC status with
`google.rpc.ErrorInfo` (domain "anima.dev") in the trailer `grpc-status-details-bin`, and
`error_from_rpc` converts it back in the client.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

DOMAIN = "anima.dev"
DETAILS_KEY = "grpc-status-details-bin"
DISK_FULL_REASON = "DISK_FULL"
"""Of `Busy`: nothing can be stored until there is room on the disk."""
TOO_LARGE_REASON = "MESSAGE_TOO_LARGE"
_TOO_LARGE = re.compile(r"message larger than max|message.*exceeds the maximum", re.IGNORECASE)
MAX_MESSAGE_CHARS = 1000  # the trailers of a call share 8 KiB; non-ASCII text triples there


class AnimaError(Exception):
    """An error that a caller may see.

    Attributes:
        code: The gRPC status of the class.
        message: The text for the caller. It names the cause: the field, the name, the file.
        reason: A constant in UPPER_SNAKE_CASE for programs.
        metadata: More data for programs, as in `ErrorInfo.metadata`.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    default_reason: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata)

    def to_status(self) -> Status:
        """Returns the error as the rich status of the gRPC error model."""
        number: int = self.code.value[0]
        status = Status(code=number, message=self.message[:MAX_MESSAGE_CHARS])
        status.details.append(
            _packed(ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=self.metadata))
        )
        return status


class InvalidRequest(AnimaError):  # noqa: N818 (named like the gRPC statuses)
    """The request is invalid; the message names the field."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    default_reason = "INVALID_REQUEST"


class NotFound(AnimaError):  # noqa: N818
    """Something named in the request does not exist."""

    code = grpc.StatusCode.NOT_FOUND
    default_reason = "NOT_FOUND"


class FailedPrecondition(AnimaError):  # noqa: N818
    """The request is valid, but something must be done first, such as pulling a model."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    default_reason = "FAILED_PRECONDITION"


class Unauthenticated(AnimaError):  # noqa: N818
    """The token is missing or wrong."""

    code = grpc.StatusCode.UNAUTHENTICATED
    default_reason = "UNAUTHENTICATED"


class PermissionDenied(AnimaError):  # noqa: N818
    """The token is right, but its owner may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED
    default_reason = "PERMISSION_DENIED"


class Unavailable(AnimaError):  # noqa: N818
    """The service, or one behind it, cannot answer now."""

    code = grpc.StatusCode.UNAVAILABLE
    default_reason = "UNAVAILABLE"


class DeadlineExceeded(AnimaError):  # noqa: N818
    """The time for the request has run out."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    default_reason = "DEADLINE_EXCEEDED"


class InternalError(AnimaError):
    """The service has failed; its log has the details."""

    code = grpc.StatusCode.INTERNAL
    default_reason = "INTERNAL"


class Busy(AnimaError):  # noqa: N818
    """All places are taken.

    Attributes:
        retry_after_ms: When to retry, ms; None if the server did not say.
    """

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    default_reason = "BUSY"

    def __init__(
        self,
        message: str,
        *,
        retry_after_ms: int | None = 1000,
        reason: str = "",
        metadata: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.retry_after_ms = retry_after_ms

    def to_status(self) -> Status:
        """Returns the error as the rich status of the gRPC error model, with `RetryInfo`."""
        status = super().to_status()
        if self.retry_after_ms is not None:
            delay = Duration()
            delay.FromMilliseconds(self.retry_after_ms)
            status.details.append(_packed(RetryInfo(retry_delay=delay)))
        return status


_CLASSES: Mapping[grpc.StatusCode, type[AnimaError]] = {
    cls.code: cls
    for cls in (
        InvalidRequest,
        NotFound,
        FailedPrecondition,
        Unauthenticated,
        PermissionDenied,
        Unavailable,
        DeadlineExceeded,
        InternalError,
    )
} | {
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.UNIMPLEMENTED: FailedPrecondition,
    grpc.StatusCode.CANCELLED: Unavailable,
}


def error_from_rpc(error: grpc.aio.AioRpcError) -> AnimaError:
    """Converts the error of a failed call, with reason, metadata and retry time if sent.

    Args:
        error: The error raised by the call.

    Returns:
        The error of the class for the status; `InternalError` for a status without a class.
        It is returned, not raised, so that the caller can write `raise error_from_rpc(error) from
        error`.
    """
    code = error.code()
    message = error.details() or code.name
    info, retry = _read_details(error)
    reason = info.reason or code.name
    metadata = dict(info.metadata)
    # gRPC itself has the status of "busy" for a message over the limit, where a retry never helps.
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE.search(message):
        return InvalidRequest(message, reason=TOO_LARGE_REASON, metadata=metadata)
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
        retry_after_ms = retry.retry_delay.ToMilliseconds() if retry is not None else None
        return Busy(message, retry_after_ms=retry_after_ms, reason=reason, metadata=metadata)
    return _CLASSES.get(code, InternalError)(message, reason=reason, metadata=metadata)


def as_anima_error(error: BaseException) -> AnimaError:
    """Converts an exception to the error for the caller.

    An `AnimaError` is returned unchanged, also from an `ExceptionGroup` (the form in which a
    TaskGroup raises it). A failed call to a service behind this one becomes `Unavailable`, and any
    other exception only "internal error".
    """
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, AnimaError):
            return leaf
    for leaf in leaves:
        if isinstance(leaf, grpc.aio.AioRpcError):
            return Unavailable(
                f"a service behind this one failed: {leaf.code().name}: {leaf.details() or ''}",
                reason="CHILD_CALL_FAILED",
            )
    return InternalError("internal error")


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _read_details(error: grpc.aio.AioRpcError) -> tuple[ErrorInfo, RetryInfo | None]:
    info, retry = ErrorInfo(), None
    for key, value in error.trailing_metadata() or ():
        if key != DETAILS_KEY or not isinstance(value, bytes):
            continue
        try:
            details = Status.FromString(value).details
            for detail in details:
                detail.Unpack(info)
                found = RetryInfo()
                if detail.Unpack(found):
                    retry = found
        except (
            DecodeError
        ):  # a foreign server may put anything here; the status itself still counts
            return ErrorInfo(), None
    return info, retry


def _packed(message: ErrorInfo | RetryInfo) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
