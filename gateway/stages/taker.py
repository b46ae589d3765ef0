"""Taking the responses of a stage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from google.protobuf.message import Message

ResponseT = TypeVar("ResponseT", bound=Message)


class Taker(Generic[ResponseT]):
    """Takes the responses of a stream, one after the other.

    Args:
        take: Called with each response; returns True when it wants no more.
        may_end: Returns whether the stage has done everything and may end the stream.
    """

    def __init__(
        self, take: Callable[[ResponseT], Awaitable[bool | None]], may_end: Callable[[], bool]
    ) -> None:
        self.take = take
        self.may_end = may_end
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def finish(self, error: BaseException | None = None) -> None:
        """Ends the taking, with an error if there is one; a second end changes nothing."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        elif isinstance(error, asyncio.CancelledError):
            self.done.cancel()
        else:
            self.done.set_exception(error)
