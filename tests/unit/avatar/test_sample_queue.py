"""Audio leaves the queue unchanged, however it is split."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.avatar.sample_queue import SampleQueue


@given(
    puts=st.lists(st.integers(0, 7), max_size=40), takes=st.lists(st.integers(0, 9), max_size=40)
)
def test_samples_come_out_in_order(puts: list[int], takes: list[int]) -> None:
    queue, put, taken = SampleQueue(), 0, 0
    for count in puts:
        queue.put(np.arange(put, put + count, dtype=np.int16))
        put += count
    for wanted in takes:
        count = min(wanted, len(queue))
        assert queue.take(count).tolist() == list(range(taken, taken + count))
        taken += count
        assert len(queue) == put - taken


def test_many_small_pieces_take_little_more_than_their_samples() -> None:
    queue = SampleQueue()
    for value in range(10_000):
        queue.put(np.full(1, value, np.int16))
    assert len(queue._pieces) <= 256
    assert queue.take(10_000).tolist() == list(range(10_000))
