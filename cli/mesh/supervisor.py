"""Keeps the processes of a mesh alive: starts, watches, restarts and stops them."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import enum
import signal
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from cli.mesh.layout import Layout, Member, child_environment
from services.runtime.channels import open_channel

EXIT_SETTINGS: Final = 2
"""A server that exits with this status was set up wrongly: starting it again would not help."""

_RESTART_FIRST_S: Final = 0.5
_RESTART_LONGEST_S: Final = 10.0
_STABLE_S: Final = 30.0
_FIRST_STARTS: Final = 3
"""A member that dies this often without having been ready once is given up."""
_HEALTH_INTERVAL_S: Final = 0.1
_STOP_TIMEOUT_S: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1


class State(enum.StrEnum):
    """How a member is."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass
class Status:
    """What is known about a member."""

    member: Member
    state: State = State.STOPPED
    restarts: int = 0
    was_ready: bool = False
    process_id: int | None = None
    started_s: float = 0.0
    ready_after_s: float | None = None
    problem: str = ""


def _die_with_parent() -> None:
    # A supervisor that is killed cannot stop its children; the kernel can (Linux only).
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Runs the members of a layout until it is closed.

    Args:
        layout: The members.
        log_folder: Each member's output is appended to `<name>.log` here.
        token: Sent with health checks, if the services demand one.
        environment: Variables that every member gets besides the caller's.
        on_change: Called after each change of a status.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        log_folder: Path,
        token: str | None = None,
        environment: Mapping[str, str] | None = None,
        on_change: Callable[[Status], None] = lambda _status: None,
    ) -> None:
        self._layout = layout
        self._log_folder = log_folder
        self._token = token
        self._environment = dict(environment or {})
        self._on_change = on_change
        self._changed = asyncio.Condition()
        self.statuses = {member.name: Status(member) for member in layout.members}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Supervisor]:
        """Start all members and stop them at the end of the block."""
        self._log_folder.mkdir(parents=True, exist_ok=True)
        keepers = [
            asyncio.create_task(self._keep(status), name=f"keep-{name}")
            for name, status in self.statuses.items()
        ]
        try:
            yield self
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    async def until_settled(self) -> None:
        """Wait until every member is ready or one has failed for good."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.is_ready() or any(self._failed()))

    async def until_noticed(self, process_ids: Collection[int]) -> None:
        """Wait until no member is one of some processes, which have ended."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: all(each.process_id not in process_ids for each in self.statuses.values())
            )

    async def until_failed(self) -> None:
        """Wait until a member has failed for good."""
        async with self._changed:
            await self._changed.wait_for(lambda: any(self._failed()))

    def is_ready(self) -> bool:
        """Tell whether every member is ready."""
        return all(status.state is State.READY for status in self.statuses.values())

    def log_tail(self, name: str, lines: int = 5) -> str:
        """Return the last lines that a member wrote."""
        path = self._log_path(name)
        return (
            "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
            if path.exists()
            else ""
        )

    def _failed(self) -> Iterator[Status]:
        return (status for status in self.statuses.values() if status.state is State.FAILED)

    def _log_path(self, name: str) -> Path:
        return self._log_folder / f"{name}.log"

    async def _set(self, status: Status, state: State, problem: str = "") -> None:
        status.state, status.problem = state, problem
        self._on_change(status)
        async with self._changed:
            self._changed.notify_all()

    async def _keep(self, status: Status) -> None:
        pause_s = _RESTART_FIRST_S
        while True:
            code = await self._live(status)
            hopeless = not status.was_ready and status.restarts + 1 >= _FIRST_STARTS
            if code == EXIT_SETTINGS or hopeless:
                await self._set(status, State.FAILED, self.log_tail(status.member.name, 1))
                return
            if time.monotonic() - status.started_s > _STABLE_S:
                pause_s = _RESTART_FIRST_S
            status.restarts += 1
            await self._set(
                status, State.RESTARTING, f"ended with status {code}; again in {pause_s:g} s"
            )
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _RESTART_LONGEST_S)

    async def _live(self, status: Status) -> int:
        """Run one process of a member to its end and return its exit status."""
        member = status.member
        status.started_s, status.ready_after_s = time.monotonic(), None
        with self._log_path(member.name).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *member.command,
                env={**child_environment(member), **self._environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the supervisor only, which then drains
                preexec_fn=_die_with_parent,
            )
        status.process_id = process.pid
        await self._set(status, State.STARTING)
        watch = asyncio.create_task(self._watch(status))
        try:
            return await process.wait()
        except asyncio.CancelledError:
            await _stop(process)
            await self._set(status, State.STOPPED)
            raise
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            status.process_id = None

    async def _watch(self, status: Status) -> None:
        """Follow the health of a process, as long as it lives."""
        member = status.member
        async with open_channel(member.address, token=self._token) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while True:
                ready = await _is_ready(stub, member.service)
                if ready and status.state is not State.READY:
                    status.was_ready = True
                    status.ready_after_s = time.monotonic() - status.started_s
                    await self._set(status, State.READY)
                elif not ready and status.state is State.READY:
                    await self._set(status, State.STARTING, "not ready")
                await asyncio.sleep(_HEALTH_INTERVAL_S if not ready else 1.0)


async def _is_ready(stub: health_pb2_grpc.HealthStub, service: str) -> bool:
    try:
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=2.0)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
