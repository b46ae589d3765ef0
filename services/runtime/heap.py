"""Keeps the memory of a long-lived process flat, and its garbage collections short."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
from typing import Final

_THRESHOLDS: Final = (700, 10, 2)
_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2
GIVE_BACK_EVERY_S: Final = 20.0


def share_arenas() -> bool:
    """Have all threads allocate from two arenas; call before there are threads.

    glibc gives each thread an arena of its own and never moves what is free in one to another: a
    process whose threads take turns with large buffers holds the most that each has ever needed.

    Returns:
        Whether it was done; False where the C library has no arenas, or `MALLOC_ARENA_MAX` is set.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    return set_option is not None and bool(set_option(_M_ARENA_MAX, _ARENAS))


def settle() -> None:
    """Call when something large has been made that stays, as at the end of a process's start.

    A full collection that walks through all of it, 100,000 objects, would hold the event loop for
    40 ms, and what is due meanwhile would be late. What is made from now on is little to look
    through, so that answers that are over, which hold themselves by cycles, need not pile up.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    # A full collection waits until a quarter of what the last one left has been made anew: this
    # one leaves nothing, the one before has counted all that is frozen now.
    gc.collect()


def give_back() -> bool:
    """Give memory that is free inside the allocator back to the system.

    glibc keeps what was freed below something that is still used: with buffers of pictures and of
    their coders that come and go in several threads this is tens of MiB.

    Returns:
        Whether there was any; False where the C library cannot do so.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))


async def give_back_regularly() -> None:
    """Give memory back until it is cancelled."""
    while True:
        await asyncio.sleep(GIVE_BACK_EVERY_S)
        await asyncio.to_thread(give_back)
