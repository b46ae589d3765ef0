"""Refusing a stream so that its client reads the reason.

A server that refuses a stream also resets the half in which the client is writing. A write that is
cut off by that fails, and grpc.aio then replaces the status that has arrived by INTERNAL, "Internal
error from Core" (grpc/grpc#36066). So the first message is read before the refusal; the client
should then wait for an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

FIRST_MESSAGE_S: Final = 2.0
"""How long a refusal waits for the first message of a stream."""
MOST_WAITING: Final = 1_024
"""How many refusals wait at the same time; others are sent at once."""


class Refusals:
    """Holds refusals back until their clients can read them."""

    def __init__(self) -> None:
        self._waiting = 0

    async def until_readable(self, requests: AsyncIterator[Any]) -> None:
        """Waits until a client has written its first message.

        Args:
            requests: The messages of the stream, of which none was read.
        """
        if self._waiting >= MOST_WAITING:
            return
        self._waiting += 1
        try:
            # A message that cannot be decoded was written, too.
            with suppress(Exception):
                async with asyncio.timeout(FIRST_MESSAGE_S):
                    await anext(aiter(requests), None)
        finally:
            self._waiting -= 1
