"""Times of the gateway on the memory's clock: never later than they were, and in their order."""

from __future__ import annotations

import time

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima.gateway.v1 import gateway_pb2 as pb
from gateway.remember_queue.memory_clock import MemoryClock
from services.runtime.errors import Unavailable
from testing.fakes.direct import DirectStages, rpc_error
from tests.unit.gateway.conversing import conversation, run

S = 1_000_000_000
SKEW_NS = 1_700_000_000 * S


class Clocks:
    """The clock of a process, and that of a memory, which is `SKEW_NS` ahead of it."""

    def __init__(self) -> None:
        self.now_ns = 5 * S
        self.asked = 0
        self.memory = MemoryClock(self.ask, now_ns=lambda: self.now_ns)

    async def ask(self) -> int:
        self.asked += 1
        return self.now_ns + SKEW_NS

    def answer(self, travelled_ns: int) -> int:
        """Lets an answer of the memory arrive; returns the clock in it."""
        clock_unix_ns = self.now_ns + SKEW_NS
        self.now_ns += travelled_ns
        self.memory.answered(clock_unix_ns)
        return clock_unix_ns


def test_nothing_is_known_before_the_first_answer() -> None:
    clocks = Clocks()
    assert clocks.memory.at(clocks.now_ns) == 0
    clocks.memory.answered(0)
    assert clocks.memory.at(clocks.now_ns) == 0


@given(
    st.lists(st.tuples(st.integers(0, 30 * S), st.integers(0, 9 * S)), min_size=1),
    st.integers(-5 * S, 100 * S),
)
def test_a_time_is_never_later_than_it_was_and_follows_the_answers_before_it(
    answers: list[tuple[int, int]], passed_ns: int
) -> None:
    clocks = Clocks()
    latest = 0
    for pause_ns, travelled_ns in answers:
        clocks.now_ns += pause_ns
        latest = clocks.answer(travelled_ns)
        assert clocks.memory.at(clocks.now_ns) >= latest
    at_ns = clocks.now_ns + passed_ns
    assert clocks.memory.at(at_ns) <= at_ns + SKEW_NS
    if passed_ns >= 0:
        assert clocks.memory.at(at_ns) >= latest


def test_an_answer_that_was_long_under_way_does_not_set_the_clock_back() -> None:
    clocks = Clocks()
    erased = clocks.answer(1_000)
    clocks.answer(S // 2)
    assert clocks.memory.at(clocks.now_ns) - erased >= S // 2


def test_a_clock_that_was_set_back_is_believed_after_a_while() -> None:
    clocks = Clocks()
    clocks.answer(0)
    for _ in range(30):
        clocks.now_ns += 10 * S
        clocks.memory.answered(clocks.now_ns + SKEW_NS - 3_600 * S)
    assert clocks.memory.at(clocks.now_ns) == clocks.now_ns + SKEW_NS - 3_600 * S


async def test_the_memory_is_asked_when_its_last_answer_is_old() -> None:
    clocks = Clocks()
    await clocks.memory.refresh()
    await clocks.memory.refresh()
    assert clocks.asked == 1
    clocks.now_ns += 11 * S
    await clocks.memory.refresh()
    assert clocks.asked == 2


async def test_a_memory_that_does_not_answer_is_an_error() -> None:
    async def ask() -> int:
        raise rpc_error(Unavailable("is away"))

    with pytest.raises(grpc.aio.AioRpcError):
        await MemoryClock(ask).refresh()


def test_a_turn_counts_from_its_beginning() -> None:
    async def main(stages: DirectStages) -> None:
        mesh = stages.mesh()
        async with conversation(mesh, pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("Who are you?")
            await said.until_kind("turn_started")
            begun_unix_ns = time.time_ns()  # whoever erases now, erases this turn too
            await said.until_kind("turn_ended")
            remembered = await stages.memory.remembered.get()
            assert 0 < remembered.said_unix_ns <= begun_unix_ns
        await mesh.remember_queue.close(timeout_s=1)

    run(main)
