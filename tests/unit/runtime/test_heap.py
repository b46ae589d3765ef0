"""What a process has freed goes back to the system."""

import ctypes
import gc

import psutil
import pytest

from services.runtime.heap import give_back, settle


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
