"""Starts an engine again until it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from services.runtime.observing.logs import get_logger

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0


async def revive(start: Callable[[], Awaitable[None]]) -> None:
    """Calls `start` until it raises no error, with pauses that double up to half a minute."""
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            await start()
        except Exception as error:
            get_logger().error("engine not restarted", why=str(error), again_in_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        else:
            return
