"""Keeps the memory of a long-lived process constant, and its garbage collections short."""

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
    """Makes all threads allocate from two arenas; must be called before threads are started.

    By default glibc creates an arena per thread and never moves free memory between arenas: a
    process whose threads take turns with large buffers keeps the maximum that each thread has ever
    needed.

    Returns:
        Whether it was done; False if the C library has no arenas or `MALLOC_ARENA_MAX` is set.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    return set_option is not None and bool(set_option(_M_ARENA_MAX, _ARENAS))


def settle() -> None:
    """Excludes long-lived objects from garbage collection; call at the end of the start-up.

    A full collection that visits all of them, 100,000 objects, would block the event loop for 40 ms
    and delay everything due meanwhile. New objects are few, so collections stay cheap and finished
    answers, which are kept alive by reference cycles, are freed promptly.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    # A full collection waits until new objects amount to a quarter of those that survived the last
    # one. This call leaves none; the call above has counted everything that is frozen now.
    gc.collect()


def give_back() -> bool:
    """Returns memory that is free inside the allocator to the system.

    glibc keeps freed memory that is below memory still in use. With picture and codec buffers that
    come and go in several threads this amounts to tens of MiB.

    Returns:
        Whether any was returned; False if the C library does not support it.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))


async def give_back_regularly() -> None:
    """Returns free memory to the system periodically until it is cancelled."""
    while True:
        await asyncio.sleep(GIVE_BACK_EVERY_S)
        await asyncio.to_thread(give_back)
