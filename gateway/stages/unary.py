"""Unary calls to a stage, outside of any turn."""

from __future__ import annotations

from typing import Any, Final

import grpc

from gateway.stages.spec import StageSpec
from services.runtime.errors import InternalError, error_from_rpc

ASK_TIMEOUT_S: Final = 1.0


async def ask(spec: StageSpec, stub: Any, method: str) -> Any:
    """Calls a unary method that takes no arguments, such as `DescribeEngine`.

    Args:
        spec: The stage.
        stub: A stub of the stage.
        method: The name of the method.

    Raises:
        AnimaError: The stage is unavailable, refuses, does not answer within 1 s, or sends an
            answer that cannot be decoded.
    """
    try:
        answer = await getattr(stub, method)(spec.request(method), timeout=ASK_TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        raise error_from_rpc(error) from error
    if answer is None:  # grpc.aio returns None for a message that it cannot decode
        raise InternalError(f"{spec.name} sent an answer to {method} that cannot be decoded")
    return answer
