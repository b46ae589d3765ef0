"""Pictures over the WebSocket, in pieces of base64."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.session.session import Session
from services.runtime.errors import InvalidRequest

_MAX_CHARS = 200_000


def taker(
    session: Callable[[], Awaitable[Session]],
) -> Callable[[dict[str, Any]], Awaitable[None]]:
    """Returns what handles an `anima.picture.append`.

    Args:
        session: Returns the session, and opens it if there is none.
    """

    async def take(event: dict[str, Any]) -> None:
        data, more = piece_of(event)
        await (await session()).picture(data, more=more)

    return take


def piece_of(event: dict[str, Any]) -> tuple[bytes, bool]:
    """Returns the bytes of an `anima.picture.append`, and whether another piece follows.

    Empty data, without a piece before, drops the pictures that wait for a question.

    Raises:
        InvalidRequest: A field is invalid.
    """
    data, more = event.get("data"), event.get("more", False)
    if not isinstance(data, str) or len(data) > _MAX_CHARS:
        raise InvalidRequest(f"data: must be base64 of at most {_MAX_CHARS} characters")
    if not isinstance(more, bool):
        raise InvalidRequest("more: must be true or false")
    try:
        return base64.b64decode(data, validate=True), more
    except (binascii.Error, ValueError):
        raise InvalidRequest("data: must be base64") from None
