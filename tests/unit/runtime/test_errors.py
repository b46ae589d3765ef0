"""Errors on their way over the wire, without a wire."""

from __future__ import annotations

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]

from services.runtime.errors import (
    DETAILS_KEY,
    TOO_LARGE_REASON,
    AnimaError,
    Busy,
    DeadlineExceeded,
    FailedPrecondition,
    InternalError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    as_anima_error,
    error_from_rpc,
)

CLASSES = [
    InvalidRequest,
    NotFound,
    FailedPrecondition,
    Unauthenticated,
    Unavailable,
    DeadlineExceeded,
    InternalError,
    Busy,
]


def rpc_error(
    code: grpc.StatusCode, details: str | None = "text", trailer: bytes | None = None
) -> grpc.aio.AioRpcError:
    trailing = grpc.aio.Metadata(*([(DETAILS_KEY, trailer)] if trailer is not None else []))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details=details)


@pytest.mark.parametrize("cls", CLASSES)
def test_error_comes_back_as_it_was(cls: type[AnimaError]) -> None:
    error = cls("field: wrong", reason="WHY", metadata={"a": "b"})
    trailer = error.to_status().SerializeToString()
    back = error_from_rpc(rpc_error(cls.code, error.message, trailer))
    assert type(back) is cls
    assert (back.message, back.reason, back.metadata) == ("field: wrong", "WHY", {"a": "b"})


def test_retry_time_comes_back() -> None:
    status = Busy("full", retry_after_ms=1500).to_status()
    retry = RetryInfo()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1500
    back = error_from_rpc(rpc_error(Busy.code, "full", status.SerializeToString()))
    assert isinstance(back, Busy)
    assert back.retry_after_ms == 1500


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        (grpc.StatusCode.UNIMPLEMENTED, FailedPrecondition),
        (grpc.StatusCode.PERMISSION_DENIED, PermissionDenied),
        (grpc.StatusCode.OUT_OF_RANGE, InvalidRequest),
        (grpc.StatusCode.CANCELLED, Unavailable),
        (grpc.StatusCode.UNKNOWN, InternalError),
    ],
)
def test_status_of_a_foreign_server(code: grpc.StatusCode, cls: type[AnimaError]) -> None:
    back = error_from_rpc(rpc_error(code, None))
    assert type(back) is cls
    assert back.message == back.reason == code.name


@pytest.mark.parametrize("trailer", [b"\xff\xff", b"", b"\x1a\x02\x0a\x00"])
def test_broken_details_do_not_hide_the_status(trailer: bytes) -> None:
    back = error_from_rpc(rpc_error(grpc.StatusCode.NOT_FOUND, "gone", trailer))
    assert isinstance(back, NotFound)
    assert back.message == "gone"


def test_our_error_is_found_in_nested_groups() -> None:
    ours = NotFound("voice: unknown")
    group = ExceptionGroup("outer", [ValueError("x"), ExceptionGroup("inner", [ours])])
    assert as_anima_error(group) is ours


def test_anything_else_is_an_internal_error_without_its_text() -> None:
    told = as_anima_error(ExceptionGroup("outer", [ValueError("the password")]))
    assert isinstance(told, InternalError)
    assert told.message == "internal error"


@pytest.mark.parametrize(
    "text",
    [
        "SERVER: Sent message larger than max (9000335 vs. 4194304)",
        "CLIENT: Received message larger than max (5242885 vs. 4194304)",
    ],
)
def test_a_message_that_is_too_large_is_not_busy(text: str) -> None:
    error = error_from_rpc(rpc_error(grpc.StatusCode.RESOURCE_EXHAUSTED, text))
    assert isinstance(error, InvalidRequest)
    assert (error.reason, error.message) == (TOO_LARGE_REASON, text)
