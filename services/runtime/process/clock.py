"""The current time: of the event loop, which tests can control, and of the calendar."""

import asyncio
import time


def loop_time_s() -> float:
    """Returns the time of the running event loop, seconds; it never goes back.

    Raises:
        RuntimeError: There is no running event loop.
    """
    return asyncio.get_running_loop().time()


def unix_ms() -> int:
    """Returns the milliseconds since 1970 (UTC)."""
    return time.time_ns() // 1_000_000
