"""Keeps the processes of a mesh alive: starts, watches, restarts and stops them."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import enum
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from cli.mesh.layout import Layout, Member, child_environment, drain_timeout_s
from cli.mesh.logs import LogFile
from gateway.wakeup import Changes
from services.runtime.calls.channels import open_channel
from services.runtime.process.tasks import Tasks, beside, first_of

EXIT_SETTINGS: Final = 2
"""The exit status of a server with invalid settings: a restart would not help."""

_RESTART_FIRST_S: Final = 0.5
_RESTART_LONGEST_S: Final = 10.0
_STABLE_S: Final = 30.0
_FIRST_STARTS: Final = 3
"""A member that dies this often without ever being ready has failed."""
_HEALTH_INTERVAL_S: Final = 0.1
_READY_INTERVAL_S: Final = 1.0
_STOP_GRACE_S: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1


class State(enum.StrEnum):
    """The state of a member."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass
class Status:
    """The status of a member."""

    member: Member
    state: State = State.STOPPED
    restarts: int = 0
    was_ready: bool = False
    process_id: int | None = None
    started_s: float = 0.0
    ready_after_s: float | None = None
    problem: str = ""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set if the member must be stopped and not restarted."""


def _load_prctl() -> Any:
    try:
        return ctypes.CDLL(None).prctl
    except (OSError, AttributeError):  # not Linux
        return None


# A child forked from a process with threads must not load a library.
_PRCTL: Final = _load_prctl()


def _die_with_parent() -> None:
    # A killed supervisor cannot stop its children, but the kernel can (Linux only).
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Runs the members of a layout until it is closed.

    Args:
        layout: The members.
        log_folder: Each member's output is appended to `<name>.log` here.
        token: Sent with health checks, if the services require one.
        environment: Variables of every member in addition to the caller's.
        on_change: Called after each change of a status.
        stop_grace_s: How long after its drain timeout a member may run before it is killed.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        log_folder: Path,
        token: str | None = None,
        environment: Mapping[str, str] | None = None,
        on_change: Callable[[Status], None] = lambda _status: None,
        stop_grace_s: float = _STOP_GRACE_S,
    ) -> None:
        self._layout = layout
        self._token = token
        self._environment = dict(environment or {})
        self._on_change = on_change
        self._stop_grace_s = stop_grace_s
        self._changes = Changes()
        self._at_once = asyncio.Event()
        self._logs = {member.name: LogFile(log_folder, member.name) for member in layout.members}
        self.statuses = {member.name: Status(member) for member in layout.members}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Supervisor]:
        """Starts all members and stops them at the end of the block, the gateway first.

        The gateway ends its conversations and stores the last turns while the stages still serve.
        """
        for log in self._logs.values():
            await asyncio.to_thread(log.begin)
        tasks = Tasks("supervisor")
        keepers = {
            name: tasks.start(self._keep(status), name=f"keep-{name}")
            for name, status in self.statuses.items()
        }
        try:
            try:
                yield self
            finally:
                for names in ([self._layout.gateway.name], list(keepers)):
                    for name in names:
                        self.statuses[name].stop.set()
                    await asyncio.wait([keepers[name] for name in names])
        finally:
            await tasks.close()

    def stop_at_once(self) -> None:
        """Kills the members that have not stopped yet, instead of waiting for their drain."""
        self._at_once.set()

    async def until_settled(self) -> None:
        """Waits until every member is ready or one has failed permanently."""
        await self._until(lambda: self.is_ready() or any(self._failed()))

    async def until_noticed(self, process_ids: Collection[int]) -> None:
        """Waits until the supervisor has noticed that these processes have ended."""
        await self._until(
            lambda: all(each.process_id not in process_ids for each in self.statuses.values())
        )

    async def until_failed(self) -> None:
        """Waits until a member has failed permanently."""
        await self._until(lambda: any(self._failed()))

    def is_ready(self) -> bool:
        """Returns whether every member is ready."""
        return all(status.state is State.READY for status in self.statuses.values())

    def log_tail(self, name: str, lines: int = 5) -> str:
        """Returns the last lines of a member's log."""
        return self._logs[name].tail(lines)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changes.next()

    def _failed(self) -> Iterator[Status]:
        return (status for status in self.statuses.values() if status.state is State.FAILED)

    def _set(self, status: Status, state: State, problem: str = "") -> None:
        status.state, status.problem = state, problem
        self._on_change(status)
        self._changes.tell()

    async def _keep(self, status: Status) -> None:
        """Runs a member until it is stopped or has failed permanently."""
        try:
            await self._run(status)
        except Exception as error:
            self._set(status, State.FAILED, f"{type(error).__name__}: {error}")
            raise

    async def _run(self, status: Status) -> None:
        name = status.member.name
        pause_s = _RESTART_FIRST_S
        while True:
            code = await self._live(status)
            if status.stop.is_set():
                self._set(status, State.STOPPED)
                return
            hopeless = not status.was_ready and status.restarts + 1 >= _FIRST_STARTS
            if code == EXIT_SETTINGS or hopeless:
                self._set(status, State.FAILED, self.log_tail(name, 1))
                return
            if time.monotonic() - status.started_s > _STABLE_S:
                pause_s = _RESTART_FIRST_S
            status.restarts += 1
            problem = f"exited with status {code}; restart in {pause_s:g} s"
            self._set(status, State.RESTARTING, problem)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(status.stop.wait(), pause_s)
            pause_s = min(pause_s * 2, _RESTART_LONGEST_S)

    async def _live(self, status: Status) -> int:
        """Runs one process of a member to its end and returns its exit status."""
        member = status.member
        environment = {**child_environment(member), **self._environment}
        status.started_s, status.ready_after_s = time.monotonic(), None
        with self._logs[member.name].open() as log:
            process = await asyncio.create_subprocess_exec(
                *member.command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # only the supervisor gets Ctrl-C; it then drains
                preexec_fn=_die_with_parent,
            )
        try:
            status.process_id = process.pid
            self._set(status, State.STARTING)
            limit_s = drain_timeout_s(member, environment) + self._stop_grace_s
            async with beside(self._watch(status), name=f"watch-{member.name}"):
                await first_of(process.wait(), status.stop.wait())
                if process.returncode is None:
                    await self._stop(process, limit_s)
            return process.returncode if process.returncode is not None else -signal.SIGKILL
        finally:
            # An engine's helpers outlive their leader; on a cancel the leader is still running.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            status.process_id = None

    async def _stop(self, process: asyncio.subprocess.Process, limit_s: float) -> None:
        """Lets a process drain; its helper processes are left alone until it has ended."""
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await first_of(process.wait(), self._at_once.wait())

    async def _watch(self, status: Status) -> None:
        """Watches the health of a process and the size of its log while it runs."""
        member = status.member
        async with open_channel(member.address, token=self._token) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while True:
                ready = await _is_ready(stub, member.service)
                if ready and status.state is not State.READY:
                    status.was_ready = True
                    status.ready_after_s = time.monotonic() - status.started_s
                    self._set(status, State.READY)
                elif not ready and status.state is State.READY and not status.stop.is_set():
                    self._set(status, State.STARTING, "not ready")
                with contextlib.suppress(OSError):  # a full disk is no reason to end a member
                    await asyncio.to_thread(self._logs[member.name].limit)
                await asyncio.sleep(_READY_INTERVAL_S if ready else _HEALTH_INTERVAL_S)


async def _is_ready(stub: health_pb2_grpc.HealthStub, service: str) -> bool:
    try:
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=2.0)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
