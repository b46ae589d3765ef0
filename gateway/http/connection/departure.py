"""Stops the work for a client of HTTP that has gone."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from services.runtime.process.tasks import beside

T = TypeVar("T")


async def while_connected(request: Request, answering: Coroutine[Any, Any, T]) -> T:
    """Answers, or cancels all work when the client disconnects.

    Raises:
        ClientDisconnect: The client has gone.
        Exception: The exception of the work, unchanged.
    """
    async with beside(_until_gone(request), name="client"):
        return await answering


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    raise ClientDisconnect
