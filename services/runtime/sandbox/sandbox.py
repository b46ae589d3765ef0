"""Runs jobs on files of strangers in confined processes, a few at a time."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import socket
import struct
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog

from services.runtime.errors import Busy, Unavailable
from services.runtime.observing.logs import get_logger
from services.runtime.sandbox import wire
from services.runtime.sandbox.confinement import Protection
from services.runtime.sandbox.fork_server import ENDED
from services.runtime.sandbox.jobs import Limits, RefusedError
from services.runtime.sandbox.server_process import ServerProcess, StartError

_END_TIMEOUT_S: Final = 2.0
_MAX_TEXT_CHARS: Final = 300


class WorkerError(Exception):
    """A job was not done: its file broke or exhausted the worker. The next job is not affected.

    Attributes:
        kind: What happened.
    """

    def __init__(self, kind: Literal["crashed", "out of time", "out of memory"], why: str) -> None:
        super().__init__(f"{kind}: {why}")
        self.kind = kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a worker returned. A stranger's file may have produced it: check every field."""

    header: Mapping[str, Any]
    content: bytearray


class Sandbox:
    """Runs jobs, each in a process of its own that is forked from one that has loaded its code.

    The fork server starts with the first job and ends after some time without a job. `run` may be
    called from any thread.
    """

    def __init__(
        self,
        job: str,
        *,
        limits: Limits,
        processes: int = 2,
        max_waiting: int = 16,
        idle_s: float = 60.0,
    ) -> None:
        """Creates a sandbox; starts nothing.

        Args:
            job: The name of the job module, see `jobs.Job`.
            limits: What one job may use.
            processes: How many jobs run at the same time.
            max_waiting: How many jobs may wait for a process; `call` refuses further ones.
            idle_s: How long the fork server stays without a job, s.
        """
        self._job = job
        self._limits = limits
        self._idle_s = idle_s
        self._max_waiting = max_waiting
        self._places = threading.Semaphore(processes)
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix=f"sandbox {job}")
        self._processes = processes
        self._lock = threading.Lock()
        self._server: ServerProcess | None = None
        self._calls = 0
        self._used = 0
        self._idle: threading.Timer | None = None

    async def call(
        self,
        request: Mapping[str, Any],
        content: wire.Content = b"",
        *,
        cpu_s: int | None = None,
        wall_s: float | None = None,
    ) -> Answer:
        """Like `run`, without blocking the event loop; a cancelled call kills its worker.

        Raises:
            Busy: Too many calls are waiting.
        """
        if self._calls >= self._processes + self._max_waiting:
            raise Busy("too many files are being read; try again in a moment")
        self._calls += 1
        run = _Run(cpu_s or self._limits.cpu_s)
        context = contextvars.copy_context()
        future = self._threads.submit(context.run, self._run, run, request, content, wall_s)
        work = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if not future.cancel():
                run.give_up()
                await asyncio.wait([work])
                work.exception()  # nobody needs it; marks it as retrieved
            raise
        finally:
            self._calls -= 1

    def run(
        self,
        request: Mapping[str, Any],
        content: wire.Content = b"",
        *,
        cpu_s: int | None = None,
        wall_s: float | None = None,
    ) -> Answer:
        """Runs a job and waits for its end.

        Args:
            request: The parameters, JSON.
            content: The file of the stranger.
            cpu_s: The CPU time of this job, s; None: that of the limits.
            wall_s: Its time in total, s; None: that of the limits.

        Raises:
            RefusedError: The job refuses the content.
            WorkerError: The job crashed, took too long, or took too much memory.
            Unavailable: No worker can be started.
        """
        return self._run(_Run(cpu_s or self._limits.cpu_s), request, content, wall_s)

    def start(self) -> None:
        """Starts the fork server in the background if it does not run: a job will come soon."""
        if self._server is None:
            self._threads.submit(self._start)

    @property
    def server_pid(self) -> int | None:
        """The process id of the fork server; None if none runs."""
        return None if self._server is None else self._server.pid

    def protection(self) -> Protection:
        """Starts the fork server if it does not run, and returns what the kernel enforces.

        Raises:
            Unavailable: It cannot be started.
        """
        with self._lock:
            return self._started().protection

    def close(self) -> None:
        """Ends all workers; running jobs fail."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._stop()

    def _run(
        self,
        run: _Run,
        request: Mapping[str, Any],
        content: wire.Content,
        wall_s: float | None,
    ) -> Answer:
        with self._places:
            try:
                self._enter(run)
                deadline_s = time.monotonic() + (self._limits.wall_s if wall_s is None else wall_s)
                try:
                    return run.exchange(
                        request, content, self._limits.max_answer_bytes, deadline_s=deadline_s
                    )
                finally:
                    self._leave()
            finally:
                run.close()

    def _enter(self, run: _Run) -> None:
        with self._lock:
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
            if not self._started().start(*run.open(), cpu_s=run.cpu_s):
                # Something else has ended the server, such as the kernel when memory is short.
                self._stop()
                self._started().start(*run.open(), cpu_s=run.cpu_s)
            self._used += 1

    def _start(self) -> None:
        with self._lock, suppress(Unavailable):  # the job will report it
            self._started()
            self._wait_for_jobs()

    def _leave(self) -> None:
        with self._lock:
            self._used -= 1
            self._wait_for_jobs()

    def _wait_for_jobs(self) -> None:
        if not self._used and self._server is not None and self._idle is None:
            self._idle = threading.Timer(self._idle_s, self._retire)
            self._idle.daemon = True
            self._idle.start()

    def _retire(self) -> None:
        with self._lock:
            self._idle = None
            if not self._used:
                self._stop()

    def _started(self) -> ServerProcess:
        if self._server is None:
            try:
                self._server = ServerProcess(self._job, self._limits)
            except StartError as error:
                get_logger().error("no worker can be started", job=self._job, fault=str(error))
                raise Unavailable(
                    "files cannot be read now: no worker process can be started; the log of the "
                    "service has the reason",
                    reason="NO_WORKER",
                ) from error
            _log(self._job, self._server.protection)
        return self._server

    def _stop(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._server is not None:
            self._server.close()
            self._server = None


def _log(job: str, protection: Protection) -> None:
    if not structlog.is_configured():  # a command, whose output is not for logs
        return
    fields = {
        "job": job,
        "landlock": protection.landlock_abi,
        "seccomp": protection.seccomp,
        "unprivileged": protection.unprivileged,
    }
    if protection.missing:
        get_logger().warning(
            "workers are confined less than they could be",
            missing="; ".join(protection.missing),
            **fields,
        )
    else:
        get_logger().info("workers are confined", **fields)


class _Run:
    """The connections of one job; `give_up` may be called from another thread."""

    def __init__(self, cpu_s: int) -> None:
        self.cpu_s = cpu_s
        self._lock = threading.Lock()
        self._given_up = False
        self._job: socket.socket | None = None
        self._ending: socket.socket | None = None

    def open(self) -> tuple[socket.socket, socket.socket]:
        """Returns the worker's ends of new connections."""
        self.close()
        job, its_job = socket.socketpair()
        ending, its_ending = socket.socketpair()
        with self._lock:
            self._job, self._ending = job, ending
            if self._given_up:
                job.shutdown(socket.SHUT_RDWR)
        return its_job, its_ending

    def give_up(self) -> None:
        """Makes `exchange` fail at once."""
        with self._lock:
            self._given_up = True
            if self._job is not None:
                self._job.shutdown(socket.SHUT_RDWR)

    def exchange(
        self,
        request: Mapping[str, Any],
        content: wire.Content,
        max_answer_bytes: int,
        *,
        deadline_s: float,
    ) -> Answer:
        assert self._job is not None  # noqa: S101
        try:
            wire.send(self._job, request, content, deadline_s=deadline_s)
            header, data = wire.receive(
                self._job, max_content_bytes=max_answer_bytes, deadline_s=deadline_s
            )
        except TimeoutError:
            raise WorkerError("out of time", "its time is over") from None
        except (OSError, wire.EndedError) as error:
            raise self._why_ended(str(error)) from None
        except wire.BrokenMessageError as error:
            raise WorkerError("crashed", f"its answer is invalid: {error}") from None
        return _answer(header, data)

    def close(self) -> None:
        """Ends the worker if it still runs, and waits until it is gone."""
        if self._ending is not None:
            with self._ending:
                self._ending.settimeout(_END_TIMEOUT_S)
                try:
                    self._ending.shutdown(socket.SHUT_WR)
                    self._ending.recv(ENDED.size)
                except OSError:  # the server is gone, and with it the worker
                    pass
            self._ending = None
        with self._lock:
            if self._job is not None:
                self._job.close()
                self._job = None

    def _why_ended(self, otherwise: str) -> WorkerError:
        if self._given_up:
            return WorkerError("crashed", "it was given up")
        assert self._ending is not None  # noqa: S101
        self._ending.settimeout(_END_TIMEOUT_S)
        try:
            code, cpu_s = ENDED.unpack(self._ending.recv(ENDED.size))
        except (OSError, struct.error):
            return WorkerError("crashed", otherwise)
        # A worker that ignores the signal at its limit is killed a second later.
        if code == -signal.SIGXCPU or (code == -signal.SIGKILL and cpu_s > self.cpu_s):
            return WorkerError("out of time", f"it has computed for {cpu_s:.0f} s")
        if code < 0:
            return WorkerError("crashed", f"signal {-code} ended it")
        return WorkerError("crashed", f"it ended with {code}: {otherwise}")


def _answer(header: Mapping[str, Any], data: bytearray) -> Answer:
    match header:
        case {"done": dict(done)}:
            return Answer(header=done, content=data)
        case {"refused": {"reason": str(reason), "text": str(text)}}:
            raise RefusedError(_clean(reason), _clean(text))
        case {"failed": "MemoryError"}:
            raise WorkerError("out of memory", "it took more than it may")
        case {"failed": str(why)}:
            raise WorkerError("crashed", _clean(why))
    raise WorkerError("crashed", "its answer is invalid")


def _clean(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:_MAX_TEXT_CHARS])
