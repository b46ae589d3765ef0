"""Memory that a process has freed is returned to the system."""

import asyncio
import ctypes
import gc
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from services.runtime.process.heap import collect_regularly, give_back, settle
from services.runtime.process.tasks import beside
from testing.virtual_time import in_virtual_time

_COUNT_ARENAS = """
import ctypes, sys, threading
if sys.argv[1] == "shared":
    from services.runtime.process.heap import set_up_allocator
    assert set_up_allocator()
held, done = [], threading.Barrier(7)
def work():
    held.append([bytearray(2_000) for _ in range(100)])
    done.wait()
    done.wait()
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads: thread.start()
done.wait()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
done.wait()
"""

_LOAD_A_PICTURE = """
import sys
import psutil
if sys.argv[1] == "shared":
    from services.runtime.process.heap import set_up_allocator
    assert set_up_allocator()
process = psutil.Process()
MIB = 1 << 20
before = process.memory_info().rss
picture = b"1" * (16 * MIB)
del picture  # glibc adapts
picture = b"1" * (16 * MIB)
result = [b"2" * 60_000 for _ in range(100)]
del picture
print((process.memory_info().rss - before) // MIB)
"""


def _run(script: str, how: str) -> str:
    environment = {key: value for key, value in os.environ.items() if "MALLOC_" not in key}
    command = [sys.executable, "-c", script, how]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def _arenas(how: str) -> int:
    return _run(_COUNT_ARENAS, how).count("<heap nr=")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="not glibc")
def test_threads_share_two_arenas() -> None:
    assert _arenas("own") > 2
    assert _arenas("shared") <= 2


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="not glibc")
def test_a_picture_that_was_needed_for_a_moment_leaves_no_hole() -> None:
    assert int(_run(_LOAD_A_PICTURE, "own")) > 16
    assert int(_run(_LOAD_A_PICTURE, "shared")) < 12


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_free_memory_below_something_in_use_is_given_back() -> None:
    process = psutil.Process()
    buffers = [bytearray(60_000) for _ in range(1_000)]
    for buffer in buffers:
        buffer[::4096] = bytes(len(buffer[::4096])).replace(b"\0", b"\1")
    last = buffers[-1]
    before = process.memory_info().rss
    del buffers, buffer
    assert give_back()
    assert before - process.memory_info().rss > 40_000_000
    assert last


def _answers(count: int) -> None:
    for _ in range(count):
        # an answer of some hundred objects, which is held for a while and holds itself
        answer: list[object] = [[] for _ in range(400)]
        answer.append(answer)


@pytest.fixture
def settled() -> Iterator[None]:
    thresholds = gc.get_threshold()
    settle()
    yield
    gc.set_threshold(*thresholds)


def _full_collections() -> int:
    count: int = gc.get_stats()[2]["collections"]
    return count


def test_many_new_objects_cause_no_full_collection(settled: None) -> None:
    before = _full_collections()
    _answers(200)
    assert _full_collections() == before


def test_cycles_are_collected_while_the_loop_is_at_rest(settled: None) -> None:
    before = _full_collections()

    async def answering() -> None:
        async with beside(collect_regularly(), name="garbage"):
            _answers(200)
            await asyncio.sleep(3)

    in_virtual_time(answering)
    assert _full_collections() == before + 1


@pytest.mark.parametrize(("seconds", "collections"), [(25, 0), (35, 1)])
def test_a_busy_loop_collects_cycles_after_half_a_minute(
    settled: None, monkeypatch: pytest.MonkeyPatch, seconds: int, collections: int
) -> None:
    used_s = itertools.count()
    monkeypatch.setattr(time, "thread_time", lambda: float(next(used_s)))
    before = _full_collections()

    async def answering() -> None:
        async with beside(collect_regularly(), name="garbage"):
            for _ in range(seconds):
                _answers(10)
                await asyncio.sleep(1)

    in_virtual_time(answering)
    assert _full_collections() == before + collections
