"""A reader of a stream learns whether it is whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from anima.avatar import v1 as avatar
from services.runtime.calls.streams import received
from services.runtime.errors import InternalError, NotFound, Unavailable

PROGRESS = avatar.CreateAvatarResponse(progress=avatar.CreationProgress(percent=30))
DONE = avatar.CreateAvatarResponse(done=avatar.CreationDone())
REFUSAL = grpc.aio.AioRpcError(
    grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), grpc.aio.Metadata(), details="no such avatar"
)


class Call:
    """A call that yields what it is given and raises an exception in its place."""

    def __init__(self, *responses: Any) -> None:
        self.responses = responses
        self.cancelled = False

    async def __aiter__(self) -> AsyncIterator[Any]:
        for response in self.responses:
            if isinstance(response, Exception):
                raise response
            yield response

    def cancel(self) -> bool:
        self.cancelled = True
        return True


async def test_whole_stream_is_yielded() -> None:
    call = Call(PROGRESS, DONE)
    assert [each async for each in received("avatar", call, last="done")] == [PROGRESS, DONE]


async def test_stream_without_a_last_event_may_end_anywhere() -> None:
    assert [each async for each in received("avatar", Call(PROGRESS))] == [PROGRESS]


@pytest.mark.parametrize("responses", [(), (PROGRESS,), (DONE, PROGRESS)])
async def test_stream_that_ends_early_fails(responses: tuple[Any, ...]) -> None:
    with pytest.raises(Unavailable, match="avatar ended in the middle of its work"):
        [each async for each in received("avatar", Call(*responses), last="done")]


@pytest.mark.parametrize("last", ["", "done"])
async def test_undecodable_message_fails(last: str) -> None:
    call = Call(PROGRESS, None, DONE)
    with pytest.raises(InternalError, match="avatar sent a message that cannot be decoded"):
        [each async for each in received("avatar", call, last=last)]
    assert call.cancelled


async def test_status_is_raised_as_an_error() -> None:
    with pytest.raises(NotFound, match="no such avatar"):
        [each async for each in received("avatar", Call(PROGRESS, REFUSAL), last="done")]
