"""Opens a stream to a stage within a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from google.protobuf.message import Message

from gateway.stages.failure import StageFailed
from gateway.stages.route import Route
from gateway.stages.spec import STAGES
from gateway.stages.stream import Call, StageStream
from services.runtime.errors import Busy, DeadlineExceeded, Unavailable

RequestT = TypeVar("RequestT", bound=Message)

_RETRY_AFTER_MS: Final = 200
_TRIES: Final = 2


async def open_stream(
    stage: str,
    method: Callable[..., Any],
    config: RequestT,
    *,
    route: Route,
    timeout_ms: int,
    wait_for_place: bool = False,
    on_full: Callable[[int], None] = lambda _: None,
) -> StageStream[RequestT, Any]:
    """Opens a stream and waits until the stage has started.

    Waits for a stage that is being restarted. An attempt that is cut off, or hangs for half of the
    time, is repeated once; a full stage is tried again after the time that it names. A session that
    keeps to a replica moves to another one before it tries again, at once if its own is full.

    Args:
        stage: The name of the stage.
        method: The method of the stub.
        config: The first request.
        route: Where the calls of the session go.
        timeout_ms: How long all attempts together may take.
        wait_for_place: Whether to retry a full stage within that time.
        on_full: Called when the stage is full, with the time after which it may have a place, ms.

    Raises:
        StageFailed: The stage is unavailable or full, or rejects the config.
    """
    opening = _Opening(
        stage=stage,
        method=method,
        config=config,
        route=route,
        allowed_s=timeout_ms / 1000,
        waits_for_place=wait_for_place,
        on_full=on_full,
    )
    try:
        async with asyncio.timeout(opening.allowed_s):
            while (stream := await opening.attempt()) is None:
                pass
            return stream
    except TimeoutError:
        if opening.busy is not None:
            raise opening.busy from None
        text = f"{stage} did not start within {timeout_ms} ms"
        raise StageFailed(stage, DeadlineExceeded(text)) from None


@dataclass(kw_only=True)
class _Opening:
    """The attempts to open one stream.

    Attributes:
        tries: How many attempts there were, without those that a full stage refused.
        busy: The last refusal of a full stage.
    """

    stage: str
    method: Callable[..., Any]
    config: Message
    route: Route
    allowed_s: float
    waits_for_place: bool
    on_full: Callable[[int], None]
    tries: int = 0
    busy: StageFailed | None = None

    async def attempt(self) -> StageStream[Any, Any] | None:
        """Tries once; returns None if another attempt may succeed."""
        self.tries += 1
        # A replica that hangs must leave time to try another one.
        share_s = self.allowed_s / _TRIES if self.tries < _TRIES else None
        try:
            async with asyncio.timeout(share_s) as share:
                return await self._open()
        except TimeoutError:
            if not share.expired():
                raise
        except StageFailed as failure:
            if isinstance(failure.error, Busy):
                await self._wait_for_place(failure, failure.error.retry_after_ms)
                return None
            if self.tries >= _TRIES or not isinstance(failure.error, Unavailable):
                raise
        self._move()
        return None

    async def _open(self) -> StageStream[Any, Any]:
        call = cast(Call, self.method(wait_for_ready=True, metadata=self.route.metadata()))
        stream: StageStream[Any, Any] = StageStream(self.stage, call, type(self.config))
        handed_on = False
        try:
            await stream.start(self.config)
            handed_on = True
            return stream
        finally:
            # A turn may be cancelled just as the stage has started.
            if not handed_on:
                await stream.close()

    async def _wait_for_place(self, refusal: StageFailed, retry_after_ms: int | None) -> None:
        at_once = self.busy is None and self._move()
        self.busy = refusal
        self.tries -= 1
        retry_after_ms = retry_after_ms or _RETRY_AFTER_MS
        self.on_full(retry_after_ms)
        if not self.waits_for_place:
            raise refusal
        if not at_once:
            await asyncio.sleep(retry_after_ms / 1000)

    def _move(self) -> bool:
        if STAGES[self.stage].keeps_sessions:
            self.route.move()
            return True
        return False
