"""The event loop of a server process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

try:
    import uvloop
except ImportError:  # there is none for Windows
    _new_loop = asyncio.new_event_loop
else:

    class _Loop(uvloop.Loop):
        """uvloop, which needs a tenth less processor time for grpc.aio than asyncio's own loop.

        Its own clock stands still while callbacks run and counts in milliseconds, too coarse for
        spans and for the schedule of playout. Both clocks have the same origin.
        """

        def time(self) -> float:
            return time.monotonic()

    _new_loop = _Loop


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs the main coroutine of a process and returns its result."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(main)
