"""Memory that a process has freed is returned to the system."""

import ctypes
import gc
import os
import subprocess
import sys

import psutil
import pytest

from services.runtime.heap import give_back, settle

_COUNT_ARENAS = """
import ctypes, sys, threading
if sys.argv[1] == "shared":
    from services.runtime.heap import set_up_allocator
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
    from services.runtime.heap import set_up_allocator
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


def test_cycles_are_collected_before_they_pile_up() -> None:
    thresholds = gc.get_threshold()
    try:
        settle()
        before = gc.get_stats()[2]["collections"]
        for _ in range(200):
            # an answer of some hundred objects, which is held for a while and holds itself
            answer: list[object] = [[] for _ in range(400)]
            answer.append(answer)
        assert gc.get_stats()[2]["collections"] - before >= 2
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
