"""Config-first streams: the first message says how, everything after it says what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from google.protobuf.message import Message

from services.runtime.errors import InvalidRequest

RequestT = TypeVar("RequestT", bound=Message)


async def open_stream(
    requests: AsyncIterator[RequestT], arm: str = "config", oneof: str = "message"
) -> tuple[Any, AsyncIterator[RequestT]]:
    """Read the config of a stream.

    Args:
        requests: The messages of the stream.
        arm: The field of the first message.
        oneof: The oneof that tells what a message is.

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
            raise InvalidRequest(f"{arm}: sent again as message {number}; it comes once, first")
        yield request
