"""Keeps the memory of a long-lived process constant, and its garbage collections short."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import time
from typing import Final

from services.runtime.process.clock import loop_time_s

_THRESHOLDS: Final = (700, 10, 200)
"""The last only bounds what piles up within `_AT_LEAST_EVERY_S`; see `collect_regularly`."""
_WORTH_IT: Final = 3
"""A full collection is worth it after so many collections of the middle generation."""
_AT_REST: Final = 0.1
"""The share of a core below which nobody notices that the event loop is blocked."""
_LOOK_EVERY_S: Final = 1.0
_AT_LEAST_EVERY_S: Final = 30.0
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2
_MAPPED_BYTES: Final = 4 * 1024 * 1024
"""More than a frame of any format, whose buffers are used again and again."""
_KEPT_BYTES: Final = 32 * 1024 * 1024
"""Free memory at the top of the heap, kept between frames; `give_back` returns it."""
GIVE_BACK_EVERY_S: Final = 20.0


def set_up_allocator() -> bool:
    """Keeps glibc from holding on to memory; must be called before threads are started.

    By default glibc creates an arena per thread and never moves free memory between arenas: a
    process whose threads take turns with large buffers keeps the maximum that each thread has ever
    needed. So all threads allocate from two arenas. It also raises the size from which a buffer is
    mapped on its own, and returned when it is freed, to that of the largest buffer freed so far, up
    to 32 MiB: the pictures of an avatar that are needed only at its loading then leave holes of
    20 MiB. So that size is fixed.

    Returns:
        Whether it was done; False if the C library does not support it or the environment already
        sets it.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return False
    options = {
        "MALLOC_ARENA_MAX": (_M_ARENA_MAX, _ARENAS),
        "MALLOC_MMAP_THRESHOLD_": (_M_MMAP_THRESHOLD, _MAPPED_BYTES),
        "MALLOC_TRIM_THRESHOLD_": (_M_TRIM_THRESHOLD, _KEPT_BYTES),
    }
    done = {name not in os.environ and bool(set_option(*options[name])) for name in options}
    return done == {True}


def settle() -> None:
    """Excludes long-lived objects from garbage collection; call at the end of the start-up.

    A full collection that visits all of them, 100,000 objects, would block the event loop for 40 ms
    and delay everything due meanwhile. Full collections of the others are left to
    `collect_regularly`.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    # A full collection of Python's own waits until new objects amount to a quarter of those that
    # survived the last one. This call leaves none; the call above has counted all that is frozen.
    gc.collect()


def settle_again() -> None:
    """Excludes what was loaded after the start-up too; nothing in a process that never settled.

    The dictionaries of a Chinese voice alone are 190,000 objects.
    """
    if gc.get_freeze_count():
        settle()


async def collect_regularly() -> None:
    """Collects cycles while the event loop has time for it, until it is cancelled.

    Finished answers are kept alive by reference cycles and must be freed promptly. But with 200
    sessions a full collection blocks the loop for 30 to 80 ms, and Python starts it when objects
    are made fastest: ten times within the three seconds in which 200 answers begin. So it runs when
    the loop is at rest, or after half a minute.
    """
    last_s = loop_time_s()
    while True:
        used_s = time.thread_time()
        await asyncio.sleep(_LOOK_EVERY_S)
        at_rest = time.thread_time() - used_s < _AT_REST * _LOOK_EVERY_S
        overdue = loop_time_s() - last_s >= _AT_LEAST_EVERY_S
        if (at_rest or overdue) and gc.get_count()[2] >= _WORTH_IT:
            gc.collect()
            last_s = loop_time_s()


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
