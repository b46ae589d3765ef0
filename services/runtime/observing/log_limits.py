"""A limit for repeated log lines, so that what a stranger causes cannot fill the disk.

Each kind of line may come some times at once, and then once a second; all kinds together have a
limit too. The next line of a kind says how many were dropped before it.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger

from services.runtime.limits.bucket import TokenBucket

BURST: Final = 20
PER_SECOND: Final = 1.0
ALL_BURST: Final = 1_000
ALL_PER_SECOND: Final = 50.0
_MOST_KINDS: Final = 256
_KIND_CHARS: Final = 80


class _Kind:
    """The lines of one kind."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.bucket = TokenBucket(per_second=PER_SECOND, burst=BURST, now=now)
        self.dropped = 0


class LineLimit:
    """Decides which lines are written.

    Args:
        now: A monotonic clock, seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = Lock()  # libraries log from threads of their own
        self._all = TokenBucket(per_second=ALL_PER_SECOND, burst=ALL_BURST, now=now)
        self._kinds: OrderedDict[str, _Kind] = OrderedDict()

    def admit(self, kind: str) -> int | None:
        """Admits a line.

        Args:
            kind: What makes a line the repetition of another one: its text without values.

        Returns:
            How many lines of the kind were dropped before it; None: drop this one too.
        """
        with self._lock:
            lines = self._lines(kind[:_KIND_CHARS])
            if not lines.bucket.take() or not self._all.take():
                lines.dropped += 1
                return None
            dropped, lines.dropped = lines.dropped, 0
            return dropped

    def _lines(self, kind: str) -> _Kind:
        lines = self._kinds.pop(kind, None)
        if lines is None:
            lines = _Kind(self._now)
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.popitem(last=False)
        self._kinds[kind] = lines
        return lines

    def process(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Drops a line of our own, or adds the number of dropped ones (a structlog processor)."""
        if method == "debug":
            return event
        dropped = self.admit(f"{method} {event.get('event')}")
        if dropped is None:
            raise structlog.DropEvent
        if dropped:
            event["dropped_lines"] = dropped
        return event

    def filter(self, record: logging.LogRecord) -> bool:
        """Drops a line of a library, or adds the number of dropped ones (a filter of a handler)."""
        first = str(record.msg).partition("\n")[0]
        dropped = self.admit(f"{record.name} {first}")
        if dropped:
            record.dropped_lines = dropped
        return dropped is not None
