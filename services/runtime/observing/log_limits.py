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

BURST: Final = 20
PER_SECOND: Final = 1.0
ALL_BURST: Final = 1_000
ALL_PER_SECOND: Final = 50.0
_MOST_KINDS: Final = 256
_KIND_CHARS: Final = 80


class _Bucket:
    def __init__(self, *, burst: float, per_second: float, now: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._left = burst
        self._at = now
        self.dropped = 0

    def take(self, now: float) -> bool:
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class LineLimit:
    """Decides which lines are written.

    Args:
        now: A monotonic clock, seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = Lock()  # libraries log from threads of their own
        self._all = _Bucket(burst=ALL_BURST, per_second=ALL_PER_SECOND, now=now())
        self._kinds: OrderedDict[str, _Bucket] = OrderedDict()

    def admit(self, kind: str) -> int | None:
        """Admits a line.

        Args:
            kind: What makes a line the repetition of another one: its text without values.

        Returns:
            How many lines of the kind were dropped before it; None: drop this one too.
        """
        now = self._now()
        with self._lock:
            bucket = self._bucket(kind[:_KIND_CHARS], now)
            if not bucket.take(now) or not self._all.take(now):
                bucket.dropped += 1
                return None
            dropped, bucket.dropped = bucket.dropped, 0
            return dropped

    def _bucket(self, kind: str, now: float) -> _Bucket:
        bucket = self._kinds.pop(kind, None)
        if bucket is None:
            bucket = _Bucket(burst=BURST, per_second=PER_SECOND, now=now)
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.popitem(last=False)
        self._kinds[kind] = bucket
        return bucket

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
