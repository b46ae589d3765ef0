"""Errors over HTTP: `application/problem+json` (RFC 9457) with a text that names the problem."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus

import grpc
from starlette.responses import JSONResponse

from services.runtime.errors import AnimaError, Busy, Unavailable

_STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.UNPROCESSABLE_ENTITY,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION: HTTPStatus.UNPROCESSABLE_ENTITY,
    grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
}
_UNAVAILABLE_RETRY_S = 2


class Problem(Exception):  # noqa: N818 (named after its RFC)
    """A request that is answered with an error.

    Attributes:
        status: The HTTP status.
        detail: A description of the problem for people.
        headers: Additional headers of the response.
        stage: The stage that failed, for programs; empty: none did.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        *,
        stage: str = "",
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.stage = stage

    def to_response(self) -> JSONResponse:
        """Returns the response."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.stage:
            body["stage"] = self.stage
        return JSONResponse(
            body,
            status_code=self.status,
            headers=self.headers,
            media_type="application/problem+json",
        )


def problem_of(error: AnimaError) -> Problem:
    """Returns the problem for an `AnimaError`."""
    status = _STATUSES.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
    headers: dict[str, str] = {}
    if isinstance(error, Busy):
        headers["retry-after"] = str(max(1, math.ceil((error.retry_after_ms or 1000) / 1000)))
    elif isinstance(error, Unavailable):
        headers["retry-after"] = str(_UNAVAILABLE_RETRY_S)
    return Problem(status, error.message, headers, stage=error.metadata.get("stage", ""))
