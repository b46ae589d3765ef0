"""Readers of streams: config first, and complete at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from services.runtime.errors import InternalError, InvalidRequest, Unavailable, error_from_rpc

RequestT = TypeVar("RequestT", bound=Message)


async def open_stream(
    requests: AsyncIterator[RequestT], arm: str = "config", oneof: str = "message"
) -> tuple[Any, AsyncIterator[RequestT]]:
    """Reads the config of a stream.

    Args:
        requests: The messages of the stream.
        arm: The field of the first message.
        oneof: The oneof with the content of a message.

    Returns:
        The config, and the messages after it, each of which has another arm set.

    Raises:
        InvalidRequest: The first message is not the config, or there is none. The iterator raises
            it for a second config and for a message without an arm.
    """
    async for first in requests:
        found = first.WhichOneof(oneof)
        if found is None:
            raise InvalidRequest(f"{oneof}: the first message is empty; it must be {arm}")
        if found != arm:
            raise InvalidRequest(f"{oneof}: the first message must be {arm}, not {found}")
        return getattr(first, arm), _rest(requests, arm, oneof)
    raise InvalidRequest(f"{arm}: the stream ended before its first message")


async def _rest(requests: AsyncIterator[RequestT], arm: str, oneof: str) -> AsyncIterator[RequestT]:
    number = 1
    async for request in requests:
        number += 1
        found = request.WhichOneof(oneof)
        if found is None:
            raise InvalidRequest(f"{oneof}: message {number} of the stream is empty")
        if found == arm:
            raise InvalidRequest(f"{arm}: sent again as message {number}; allowed only once, first")
        yield request


async def received(stage: str, call: Any, *, last: str = "") -> AsyncIterator[Any]:
    """Yields the responses of a call and raises unless it ends properly.

    A stream that ends with the status OK in the middle of its work would otherwise pass as
    complete,
    and so would a message that cannot be decoded: grpc.aio yields None for it.

    Args:
        stage: The name of the stage, for errors.
        call: A `grpc.aio` call that streams responses; it is cancelled when its reader stops early.
        last: The arm of `event` in the last response; empty: any response may be the last.

    Raises:
        AnimaError: The call failed.
        Unavailable: It ended without its last response.
        InternalError: A response cannot be decoded.
    """
    arm: str | None = None
    try:
        async for response in call:
            if response is None:
                raise InternalError(f"{stage} sent a message that cannot be decoded")
            if last:
                arm = response.WhichOneof("event")
            yield response
    except grpc.aio.AioRpcError as error:
        raise error_from_rpc(error) from None
    finally:
        call.cancel()
    if last and arm != last:
        raise Unavailable(f"{stage} ended in the middle of its work")
