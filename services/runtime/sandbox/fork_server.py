"""Forks a worker for each job: `python -I -m services.runtime.sandbox.fork_server`.

It has loaded the job's modules, so that a job costs a fork and not a start of Python. It never sees
a byte of a job. A worker does one job, so nothing of one stranger's file can reach the next.

For each job the service sends two sockets: the one of the job, and one for its end. On the latter
the server writes how the worker ended; when the service closes its side, the worker is killed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final, NoReturn, cast

from services.runtime.sandbox import wire
from services.runtime.sandbox.confinement import (
    JOB_SOCKET,
    SERVER_DESCRIPTORS,
    SystemCallFilter,
    address_space_bytes,
    confine_job,
    confine_server,
)
from services.runtime.sandbox.jobs import Job, RefusedError

START: Final = struct.Struct("!I")
"""The message that starts a job: its CPU time in seconds. Two descriptors come with it."""
ENDED: Final = struct.Struct("!id")
"""The message at a job's end: its exit code (negative: the signal that ended it), and the CPU time
that it used, s."""
_MAX_REQUEST_BYTES: Final = 1 << 30
_MAX_TEXT_CHARS: Final = 300


class ForkServer:
    """Starts workers, reports how they ended, and kills those that the service gives up."""

    def __init__(self, job: Job, control: socket.socket, limits: dict[str, Any]) -> None:
        self._job = job
        self._control = control
        self._limits = limits
        self._running: dict[int, socket.socket] = {}
        self._given_up: set[int] = set()
        self._ready = selectors.DefaultSelector()

    def run(self) -> None:
        """Serves until the service has closed its connection; then kills what is running."""
        self._job.prepare()
        calls = SystemCallFilter()
        quiet = os.open(os.devnull, os.O_RDWR)
        space = address_space_bytes()
        self._space = None if space is None else space + self._limits["memory_bytes"]
        protection = confine_server(calls)
        ended, wakeup = socket.socketpair()
        for each in (ended, wakeup):
            each.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
        self._ready.register(self._control, selectors.EVENT_READ)
        self._ready.register(ended, selectors.EVENT_READ)
        gc.collect()
        gc.freeze()  # a collection in a worker would copy the pages of all these objects
        self._control.sendall(json.dumps(asdict(protection)).encode())
        # What is printed before this point explains a start that fails; nothing is printed later.
        os.dup2(quiet, 2)
        os.close(quiet)
        while True:
            for key, _ in self._ready.select():
                if key.fileobj is self._control:
                    if not self._start(calls):
                        self._kill_all()
                        return
                elif key.fileobj is ended:
                    ended.recv(4096)
                else:
                    self._give_up(key.data)
            self._reap()

    def _start(self, calls: SystemCallFilter) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, START.size, 2)
        if not message:
            return False
        job, end = descriptors
        (cpu_s,) = START.unpack(message)
        server_pid = os.getpid()
        ending = socket.socket(fileno=end)
        try:
            pid = os.fork()
        except OSError:  # no memory, or too many processes
            os.close(job)
            ending.close()
            return True
        if pid == 0:
            self._work(calls, server_pid, job, cpu_s)
        os.close(job)
        self._running[pid] = ending
        self._ready.register(ending, selectors.EVENT_READ, pid)
        return True

    def _work(self, calls: SystemCallFilter, server_pid: int, job: int, cpu_s: int) -> NoReturn:
        """Does a job; runs in the worker and ends it."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(job, JOB_SOCKET)
            os.closerange(JOB_SOCKET + 1, SERVER_DESCRIPTORS)
            peer = socket.socket(fileno=JOB_SOCKET)  # it asks for the kind of the socket
            confine_job(
                calls,
                server_pid=server_pid,
                address_space=self._space,
                cpu_s=cpu_s,
                niceness=self._limits["niceness"],
            )
            answer(self._job, peer)
            code = 0
        finally:
            os._exit(code)

    def _give_up(self, pid: int) -> None:
        # Until the worker is reaped, no other process can have its id.
        os.kill(pid, signal.SIGKILL)
        self._ready.unregister(self._running[pid])
        self._given_up.add(pid)

    def _reap(self) -> None:
        for pid in list(self._running):
            reaped, status, used = os.wait4(pid, os.WNOHANG)
            if not reaped:
                continue
            ending = self._running.pop(pid)
            if pid not in self._given_up:
                self._ready.unregister(ending)
            self._given_up.discard(pid)
            with suppress(OSError):  # the service may wait no more
                code = os.waitstatus_to_exitcode(status)
                ending.send(ENDED.pack(code, used.ru_utime + used.ru_stime))
            ending.close()

    def _kill_all(self) -> None:
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)


def answer(job: Job, peer: socket.socket) -> None:
    """Reads the request of one job, does it, and sends the answer or what went wrong."""
    request, content = wire.receive(peer, max_content_bytes=_MAX_REQUEST_BYTES)
    reply: tuple[Any, wire.Content]
    try:
        header, data = job.perform(request, content)
        reply = {"done": header}, data
    except RefusedError as error:
        text = error.text[:_MAX_TEXT_CHARS]
        reply = {"refused": {"reason": error.reason, "text": text}}, b""
    except MemoryError:
        reply = {"failed": "MemoryError"}, b""
    except Exception as error:
        reply = {"failed": f"{type(error).__name__}: {error}"[:_MAX_TEXT_CHARS]}, b""
    wire.send(peer, *reply)


def main() -> None:
    """Reads the command line: the module of the job, the descriptor, the limits as JSON."""
    name, descriptor, limits = sys.argv[1:]
    control = socket.socket(fileno=int(descriptor))
    job = cast(Job, importlib.import_module(name))
    ForkServer(job, control, json.loads(limits)).run()


if __name__ == "__main__":
    main()
