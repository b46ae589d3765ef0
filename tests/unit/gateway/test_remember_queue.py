"""Turns reach the memory whatever happens to it: retries, order, bounds, refused turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from anima.gateway.v1 import gateway_pb2 as pb
from anima.memory.v1 import memory_pb2 as memory
from gateway import metrics
from gateway.remember_queue.journal import MAX_AGE_MS
from gateway.remember_queue.queue import RememberQueue
from services.runtime.errors import AnimaError, Busy, InternalError, InvalidRequest, Unavailable
from testing.fakes.direct import DirectStages, rpc_error
from testing.virtual_time import in_virtual_time
from tests.unit.gateway.conversing import conversation, now, run

Answer = Callable[[memory.RememberRequest], Awaitable[None]]


@dataclass
class ScriptedMemory:
    """Stores turns, or answers with the error that `problem_of` returns for a request."""

    problem_of: Callable[[memory.RememberRequest], AnimaError | None] = lambda _: None
    stored: list[tuple[str, str]] = field(default_factory=list)
    attempts: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, request: memory.RememberRequest, *, timeout: float) -> None:  # noqa: ASYNC109
        self.attempts += 1
        await asyncio.sleep(0.01)
        problem = self.problem_of(request)
        if problem is not None:
            raise rpc_error(problem)
        self.stored += [(request.user_id, item.text) for item in request.items]
        self._changed.set()

    async def until(self, count: int) -> None:
        while len(self.stored) < count:
            self._changed.clear()
            await self._changed.wait()

    def texts_of(self, user_id: str) -> list[str]:
        return [text for user, text in self.stored if user == user_id]


def turn(user_id: str, text: str) -> memory.RememberRequest:
    item = memory.Item(item_id=f"{user_id}-{text}"[:64], text=text)
    return memory.RememberRequest(user_id=user_id, items=[item])


def queue_of(send: Any, *, max_turns: int = 1_000, max_bytes: int = 1 << 20) -> RememberQueue:
    return RememberQueue(send, max_turns=max_turns, max_bytes=max_bytes)


def counted(result: str) -> float:
    value: float = metrics.REMEMBER.labels(result)._value.get()
    return value


def test_turn_is_remembered_when_the_memory_was_away_for_long() -> None:
    async def main(stages: DirectStages) -> None:
        stages.memory.refuse_remember = Unavailable("the memory is away")
        mesh = stages.mesh()
        async with conversation(mesh, pb.ConverseConfig(user_id="eve")) as (session, said):
            await session.text("First?")
            await said.until_kind("turn_ended")
            await asyncio.sleep(600)
            stages.memory.refuse_remember = None
            remembered = await stages.memory.remembered.get()
            assert remembered.items[0].text == "First?"
        await mesh.remember_queue.close(timeout_s=1)

    run(main)


def test_turns_of_a_user_are_stored_in_their_order_and_the_memory_is_not_hammered() -> None:
    async def main() -> None:
        away_until = 3_600.0
        scripted = ScriptedMemory(
            lambda _: Unavailable("is away") if now() < away_until else None,
        )
        queue = queue_of(scripted.send)
        for number in range(20):
            for user in ("ada", "eve"):
                queue.add(turn(user, str(number)))
            await asyncio.sleep(1)
        await scripted.until(40)
        numbers = [str(number) for number in range(20)]
        assert scripted.texts_of("ada") == numbers
        assert scripted.texts_of("eve") == numbers
        # An hour with pauses of up to 10 s, each used by a few turns at once.
        assert scripted.attempts < 40 + 4 * 3_600 / 5
        await queue.close(timeout_s=1)

    in_virtual_time(main)


@pytest.mark.parametrize(
    ("problem", "attempts"),
    [
        (InvalidRequest("items[0].text: contains a NUL character"), 3),
        (Busy("the message is too large", retry_after_ms=None), 3),
        (InternalError("the memory fails"), 10),
    ],
)
def test_turn_that_the_memory_cannot_take_holds_up_no_other(
    problem: AnimaError, attempts: int
) -> None:
    async def main() -> None:
        def problem_of(request: memory.RememberRequest) -> AnimaError | None:
            return problem if request.items[0].text == "poison" else None

        scripted = ScriptedMemory(problem_of)
        queue = queue_of(scripted.send)
        before = counted("set aside")
        started_at = now()
        queue.add(turn("ada", "poison"))
        queue.add(turn("ada", "after it"))
        for number in range(10):
            queue.add(turn(f"other{number}", "hello"))
        await scripted.until(10)
        assert now() - started_at < 1
        assert scripted.texts_of("ada") == []
        await scripted.until(11)
        assert scripted.texts_of("ada") == ["after it"]
        assert scripted.attempts == 11 + attempts
        assert counted("set aside") == before + 1
        await queue.close(timeout_s=1)

    in_virtual_time(main)


def test_turn_on_which_the_memory_hangs_holds_up_no_other() -> None:
    async def main() -> None:
        scripted = ScriptedMemory()

        async def send(request: memory.RememberRequest, *, timeout: float) -> None:  # noqa: ASYNC109
            if request.user_id == "ada":
                await asyncio.sleep(timeout)
                raise rpc_error(Unavailable("nothing came"))
            await scripted.send(request, timeout=timeout)

        queue = queue_of(send)
        queue.add(turn("ada", "hangs"))
        for number in range(100):
            queue.add(turn(f"other{number}", "hello"))
        await scripted.until(100)
        assert now() < 10
        await queue.close(timeout_s=0)

    in_virtual_time(main)


@pytest.mark.parametrize("bounds", [{"max_turns": 10}, {"max_bytes": 10 * 19}])
def test_queue_is_bounded_and_drops_the_oldest(bounds: dict[str, int]) -> None:
    async def main() -> None:
        assert turn("ada", "00").ByteSize() == 19
        scripted = ScriptedMemory(lambda _: Unavailable("is away") if now() < 1_000 else None)
        queue = queue_of(scripted.send, **bounds)
        before = counted("dropped")
        for number in range(25):
            queue.add(turn("ada", f"{number:02}"))
            await asyncio.sleep(1)
        await scripted.until(10)
        assert scripted.texts_of("ada") == [f"{number:02}" for number in range(15, 25)]
        assert counted("dropped") == before + 15
        await queue.close(timeout_s=1)

    in_virtual_time(main)


def test_turn_that_is_larger_than_the_queue_is_dropped() -> None:
    async def main() -> None:
        scripted = ScriptedMemory(lambda _: Unavailable("is away") if now() < 100 else None)
        queue = queue_of(scripted.send, max_bytes=1_000)
        queue.add(turn("ada", "small"))
        queue.add(turn("ada", "x" * 2_000))
        queue.add(turn("ada", "again"))
        await scripted.until(2)
        assert scripted.texts_of("ada") == ["small", "again"]
        await queue.close(timeout_s=1)

    in_virtual_time(main)


def test_what_a_user_erases_is_not_delivered() -> None:
    async def main() -> None:
        scripted = ScriptedMemory(lambda _: Unavailable("is away") if now() < 100 else None)
        queue = queue_of(scripted.send)
        for text in ("one", "two", "three"):
            queue.add(turn("ada", text))
            queue.add(turn("eve", text))
        await asyncio.sleep(1)
        await queue.forget("ada")
        await queue.forget("eve", ["eve-two"])
        queue.add(turn("ada", "afterwards"))
        await scripted.until(3)
        await queue.close(timeout_s=1)
        assert scripted.texts_of("ada") == ["afterwards"]
        assert scripted.texts_of("eve") == ["one", "three"]

    in_virtual_time(main)


def test_memory_learns_for_how_long_a_turn_has_waited() -> None:
    async def main() -> None:
        ages_ms: list[int] = []

        def problem_of(request: memory.RememberRequest) -> AnimaError | None:
            ages_ms.append(request.age_ms)
            return Unavailable("is away") if now() < 100 else None

        scripted = ScriptedMemory(problem_of)
        queue = RememberQueue(
            scripted.send, max_turns=10, max_bytes=1_000, now_unix_ms=lambda: round(now() * 1_000)
        )
        queue.add(turn("ada", "one"))
        await scripted.until(1)
        assert ages_ms[0] == 0
        assert ages_ms == sorted(ages_ms)
        assert 100_000 <= ages_ms[-1] <= 120_000
        await queue.close(timeout_s=1)

    in_virtual_time(main)


def test_turn_that_waited_for_a_month_is_dropped() -> None:
    async def main() -> None:
        scripted = ScriptedMemory()
        at_ms = 0
        queue = RememberQueue(
            scripted.send, max_turns=10, max_bytes=1_000, now_unix_ms=lambda: at_ms
        )
        before = counted("dropped")
        queue.add(turn("ada", "old"))
        at_ms = MAX_AGE_MS + 1
        queue.add(turn("ada", "new"))
        await scripted.until(1)
        assert scripted.texts_of("ada") == ["new"]
        assert counted("dropped") == before + 1
        await queue.close(timeout_s=1)

    in_virtual_time(main)


def test_drain_waits_for_the_memory_but_not_for_ever() -> None:
    async def main() -> None:
        quick, away = ScriptedMemory(), ScriptedMemory(lambda _: Unavailable("is away"))
        for scripted, stored in ((quick, 50), (away, 0)):
            queue = queue_of(scripted.send)
            for number in range(50):
                queue.add(turn("ada", str(number)))
            await queue.close(timeout_s=5)
            assert len(scripted.stored) == stored
        assert now() < 6

    in_virtual_time(main)
