"""Progress or leave: a call whose client neither sends nor reads is ended.

`StreamLimits` is the row of one streaming method; a `Stage` has one for each. A `Watch` applies it
to one call. It uses one timer, which is set again only when it fires, so a message costs a
few comparisons.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import inf
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from google.protobuf.descriptor_pool import Default

from services.runtime.calls.admission import PLACE_NEEDED
from services.runtime.errors import DeadlineExceeded

T = TypeVar("T")

FIRST_MESSAGE_S: Final = 10.0
MAX_CALL_S: Final = 2 * 3600.0
"""The longest call for work whose length nobody knows, such as an answer with its speech."""
GRACE_S: Final = 10.0
"""How long a client may send below the least rate at first."""


@dataclass(frozen=True, kw_only=True)
class StreamLimits:
    """The limits of one streaming method. None: there is no such limit.

    Only the time in which the server waits for its client counts as silence and against the rate,
    never the time in which the server works.

    Attributes:
        first_message_s: How long a client may take to send its first message.
        silence_s: The longest time in which nothing is sent in either direction while the server
            waits for the client.
        least_bytes_per_s: The least rate of the messages, after the first `GRACE_S` of waiting.
        upload_s: The longest time from the start of the call to its last message.
        unread_s: How long a message to the client may remain unread.
        total_s: The longest time of a call.
        last: The arm after which the client owes nothing, such as "end_of_audio"; empty: it owes
            messages until it half-closes.
        at_once: The most such calls at a time, which then do not count against the capacity; None:
            the method takes a place of the capacity, or none, as the stage says.
    """

    first_message_s: float = FIRST_MESSAGE_S
    silence_s: float | None = None
    least_bytes_per_s: int | None = None
    upload_s: float | None = None
    unread_s: float | None = None
    total_s: float | None = None
    last: str = ""
    at_once: int | None = None


# A call that waits for its client this long gives its place to another one that comes.
_SPARE_AFTER_S: Final = 10.0
_SPARE_AT_FIRST_S: Final = 2.0
REFLECTION: Final = StreamLimits(silence_s=60.0, unread_s=60.0, total_s=600.0)
"""The limits of gRPC reflection."""
STALLED: Final = frozenset({"FIRST_MESSAGE_LATE", "NO_PROGRESS", "TOO_LONG", PLACE_NEEDED})
"""The reasons of the errors that end the call of a client without progress."""


def check_limits(service: str, limits: Mapping[str, StreamLimits]) -> None:
    """Checks that every streaming method of a service has its limits, and no other method.

    Raises:
        ValueError: The text names the methods.
    """
    streaming = same_limits(service, StreamLimits()).keys()
    if missing := sorted(streaming - limits.keys()):
        raise ValueError(f"{service}: Stage.limits has no row for {', '.join(missing)}")
    if unknown := sorted(limits.keys() - streaming):
        raise ValueError(f"{service}: Stage.limits has rows of no stream: {', '.join(unknown)}")


def same_limits(service: str, limits: StreamLimits) -> dict[str, StreamLimits]:
    """Returns the same limits for every streaming method of a service."""
    methods = Default().FindServiceByName(service).methods
    return {each.name: limits for each in methods if each.client_streaming or each.server_streaming}


class Watch:
    """Ends one call when its client makes no progress; an async context manager for the handler.

    The task that enters is cancelled at the limit, and the context raises `DeadlineExceeded` in
    place of the cancellation.
    """

    def __init__(self, limits: StreamLimits) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._start_s = self._loop.time()
        self._received = 0
        self._received_bytes = 0
        self._waiting_since_s: float | None = None
        self._waited_s = 0.0
        self._writing_since_s: float | None = None
        self._sent_s = self._start_s
        self._owes = True
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = inf
        self._task: asyncio.Task[Any] | None = None
        self._cancels = 0
        self._error: Exception | None = None

    async def __aenter__(self) -> Self:
        """Starts to watch the current task."""
        self._task = asyncio.current_task()
        if self._task is not None:
            self._cancels = self._task.cancelling()
        self._check()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops watching.

        Raises:
            DeadlineExceeded: The call was ended at a limit.
        """
        if self._timer is not None:
            self._timer.cancel()
        ended, task, self._task = self._error, self._task, None
        if ended is None or task is None:
            return
        # A cancellation of the caller that has come as well is not taken back.
        if task.uncancel() <= self._cancels and kind is not None:
            raise ended from None

    @property
    def idle_s(self) -> float:
        """For how long the client has owed a message; 0 if it owes none."""
        if self._waiting_since_s is None or not self._owes or self._writing_since_s is not None:
            return 0.0
        return self._loop.time() - max(self._waiting_since_s, self._sent_s)

    @property
    def overdue_s(self) -> float:
        """For how long the client has kept its place without need, s; 0: it needs it."""
        return max(0.0, self.idle_s - (_SPARE_AFTER_S if self._received else _SPARE_AT_FIRST_S))

    def end(self, error: Exception) -> None:
        """Ends the call with an error."""
        if self._task is None or self._error is not None:
            return
        self._error = error
        self._task.cancel()

    async def requests(self, requests: AsyncIterator[T]) -> AsyncIterator[T]:
        """Yields the requests of the call."""
        last, weighed = self._limits.last, self._limits.least_bytes_per_s is not None
        self._wait()
        async for request in requests:
            self._waited_s += self._loop.time() - (self._waiting_since_s or 0.0)
            self._waiting_since_s = None
            self._received += 1
            message: Any = request
            if weighed:
                self._received_bytes += message.ByteSize()
            if last and message.WhichOneof("message") == last:
                self._owes = False
            yield request
            self._wait()
        self._owes = False
        self._waiting_since_s = None

    async def write(self, writing: Awaitable[object]) -> None:
        """Awaits the writing of a message to the client."""
        self._writing_since_s = self._loop.time()
        if self._limits.unread_s is not None:
            self._arm(self._writing_since_s + self._limits.unread_s)
        try:
            await writing
        finally:
            self._writing_since_s = None
            self._sent_s = self._loop.time()
            self._arm_waiting()

    def _wait(self) -> None:
        self._waiting_since_s = self._loop.time()
        self._arm_waiting()

    def _arm_waiting(self) -> None:
        if self._owes and (since_s := self._waiting_since_s) is not None:
            self._arm(min(when for when, _ in self._waiting_limits(since_s)))

    def _arm(self, when_s: float) -> None:
        # A timer that fires too early is set again; only one that would fire too late is moved.
        if when_s >= self._timer_s:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = when_s
        self._timer = self._loop.call_at(when_s, self._check)

    def _check(self) -> None:
        self._timer, self._timer_s = None, inf
        when_s, error = min(self._all_limits(), key=lambda limit: limit[0])
        if when_s <= self._loop.time():
            self.end(error())
        elif when_s < inf:
            self._arm(when_s)

    def _all_limits(self) -> list[tuple[float, Callable[[], DeadlineExceeded]]]:
        limits = self._limits
        found: list[tuple[float, Callable[[], DeadlineExceeded]]] = []
        total_s = inf if limits.total_s is None else self._start_s + limits.total_s
        found.append((total_s, lambda: _too_long("the call", limits.total_s)))
        if self._owes and limits.upload_s is not None:
            last = limits.last or "the end of the stream"
            upload = f"sending everything up to {last}"
            found.append(
                (self._start_s + limits.upload_s, lambda: _too_long(upload, limits.upload_s))
            )
        if self._writing_since_s is not None:
            if limits.unread_s is not None:
                found.append((self._writing_since_s + limits.unread_s, self._unread))
        elif self._owes and self._waiting_since_s is not None:
            found += self._waiting_limits(self._waiting_since_s)
        return found

    def _waiting_limits(self, since_s: float) -> list[tuple[float, Callable[[], DeadlineExceeded]]]:
        limits = self._limits
        if not self._received:
            return [(since_s + limits.first_message_s, self._first_late)]
        silence_s = inf
        if limits.silence_s is not None:
            silence_s = max(since_s, self._sent_s) + limits.silence_s
        found: list[tuple[float, Callable[[], DeadlineExceeded]]] = [(silence_s, self._silent)]
        if limits.least_bytes_per_s is not None:
            allowed_s = GRACE_S + self._received_bytes / limits.least_bytes_per_s
            found.append((since_s + allowed_s - self._waited_s, self._slow))
        return found

    def _first_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"the first message did not arrive within {self._limits.first_message_s:g} s",
            reason="FIRST_MESSAGE_LATE",
        )

    def _silent(self) -> DeadlineExceeded:
        return _no_progress(
            f"nothing was sent for {self._limits.silence_s:g} s; send the next message sooner, or"
            " open the stream later"
        )

    def _slow(self) -> DeadlineExceeded:
        return _no_progress(
            f"the messages arrive at less than {self._limits.least_bytes_per_s} bytes/s"
        )

    def _unread(self) -> DeadlineExceeded:
        return _no_progress(f"the client has not read for {self._limits.unread_s:g} s")


def _no_progress(text: str) -> DeadlineExceeded:
    return DeadlineExceeded(text, reason="NO_PROGRESS")


def _too_long(what: str, limit_s: float | None) -> DeadlineExceeded:
    return DeadlineExceeded(f"{what} may take at most {limit_s:g} s", reason="TOO_LONG")
