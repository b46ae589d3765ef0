"""The states of the stages: one watcher for each, so that probes and `/v1/mesh` only read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import grpc

from anima.common.v1 import common_pb2 as common
from anima.gateway.v1 import gateway_pb2 as pb
from gateway import metrics
from gateway.stages.spec import STAGES, AnswerKind, StageSpec, needed_for
from gateway.stages.unary import ASK_TIMEOUT_S, ask
from services.runtime.errors import AnimaError
from services.runtime.observing.logs import get_logger
from services.runtime.process.tasks import Tasks, beside

_LOOK_EVERY_S: Final = 10.0
_FIRST_ANSWERS_S: Final = 2 * ASK_TIMEOUT_S


class StageStates:
    """Watches the stages.

    A stage is asked to describe itself when its connection changes, and every 10 s, so that a stage
    that hangs is detected too.

    Args:
        tasks: The owner of the watchers.
        on_up: Called with the name of a stage that has come up, or come back.
    """

    def __init__(self, tasks: Tasks, *, on_up: Callable[[str], None]) -> None:
        self._tasks = tasks
        self._on_up = on_up
        self._statuses: dict[str, pb.StageStatus] = {}
        self._seen: set[str] = set()
        self._changed = asyncio.Condition()

    def watch(self, spec: StageSpec, stub: Any, channel: grpc.aio.Channel) -> None:
        """Watches a stage until the owner of the watchers closes."""
        metrics.STAGE_UP.labels(spec.name).set(0)
        self._tasks.start(self._watch(spec, stub, channel), name=f"watch-{spec.name}")

    async def statuses(self) -> list[pb.StageStatus]:
        """Returns the status of each stage, in table order; waits for their first answers."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_ANSWERS_S):
                await self.until(lambda: STAGES.keys() <= self._statuses.keys())
        return [self._status(name) for name in STAGES]

    def problems(self) -> dict[str, str]:
        """Returns the problem of each stage that does not work now."""
        statuses = [self._status(name) for name in STAGES]
        return {each.stage: each.problem for each in statuses if not each.ready}

    def never_seen(self) -> tuple[str, ...]:
        """Returns the stages that a spoken answer needs and that have never been up."""
        return tuple(name for name in needed_for(AnswerKind.SPEECH) if name not in self._seen)

    async def until_seen(self) -> None:
        """Waits until every stage that a spoken answer needs has been up once."""
        await self.until(lambda: not self.never_seen())

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until a condition holds that depends on the states alone."""
        async with self._changed:
            await self._changed.wait_for(holds)

    def _status(self, name: str) -> pb.StageStatus:
        unknown = pb.StageStatus(stage=name, problem=f"{name} has not been asked yet")
        return self._statuses.get(name, unknown)

    async def _watch(self, spec: StageSpec, stub: Any, channel: grpc.aio.Channel) -> None:
        moved = asyncio.Event()
        try:
            async with beside(_follow(channel, moved), name=f"connection-{spec.name}"):
                while True:
                    moved.clear()
                    await self._set(await _ask_status(spec, stub))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_EVERY_S):
                            await moved.wait()
        except Exception:
            problem = f"{spec.name} is no longer watched; see the log for the reason"
            await self._set(pb.StageStatus(stage=spec.name, problem=problem))
            raise

    async def _set(self, status: pb.StageStatus) -> None:
        name = status.stage
        before = self._statuses.get(name)
        if before is None or before.ready != status.ready:
            metrics.STAGE_UP.labels(name).set(status.ready)
            get_logger().info("a stage changed", stage=name, up=status.ready, why=status.problem)
            if status.ready:
                self._seen.add(name)
                self._on_up(name)
        async with self._changed:
            self._statuses[name] = status
            self._changed.notify_all()


async def _follow(channel: grpc.aio.Channel, moved: asyncio.Event) -> None:
    while True:
        connectivity = channel.get_state(try_to_connect=True)
        await channel.wait_for_state_change(connectivity)
        moved.set()


async def _ask_status(spec: StageSpec, stub: Any) -> pb.StageStatus:
    try:
        described = await ask(spec, stub, "DescribeEngine")
    except AnimaError as error:
        # A stage that cannot describe itself may still work.
        ready = error.reason == grpc.StatusCode.UNIMPLEMENTED.name
        return pb.StageStatus(stage=spec.name, ready=ready, problem="" if ready else error.message)
    return pb.StageStatus(stage=spec.name, ready=True, engine=_engine(described))


def _engine(described: Any) -> common.EngineInfo | None:
    """Returns the engine of a description; a stage with several lists the preferred one first."""
    if "engines" in described.DESCRIPTOR.fields_by_name:
        return next(iter(described.engines), None)
    engine: common.EngineInfo = described.engine
    return engine
