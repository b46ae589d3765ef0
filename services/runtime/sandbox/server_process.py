"""Starts and ends the fork server: with an empty environment, and by closing a socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import weakref
from contextlib import suppress
from typing import Final

from services.runtime.sandbox.confinement import Protection
from services.runtime.sandbox.fork_server import START
from services.runtime.sandbox.jobs import Limits

_START_TIMEOUT_S: Final = 60.0
_MAX_REPORT_BYTES: Final = 4_096
_MAX_SHOWN_CHARS: Final = 2_000
# A worker gets none of the service's variables, such as tokens. A library that starts threads
# when it is loaded would make a fork unsafe.
_ENVIRONMENT: Final = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1"),
    "OPENCV_OPENCL_RUNTIME": "disabled",
    "MALLOC_ARENA_MAX": "1",
}
_PASSED_ON: Final = ("LD_LIBRARY_PATH",)
"""Where libraries are, on systems that have them elsewhere."""


class StartError(Exception):
    """The fork server did not start; the text states why."""


class ServerProcess:
    """A running fork server. Its methods may be called from any thread.

    Attributes:
        protection: What the kernel enforces.
        pid: Its process id.
    """

    def __init__(self, job: str, limits: Limits) -> None:
        """Starts a fork server and waits until it is ready.

        Raises:
            StartError: It could not start.
        """
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        module = "services.runtime.sandbox.fork_server"
        with theirs:
            try:
                process = subprocess.Popen(
                    [
                        *(sys.executable, "-I", "-m", module),
                        *(job, str(theirs.fileno()), limits.to_json()),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env=_ENVIRONMENT | environment,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise StartError(str(error)) from error
        self.pid = process.pid
        self._control = ours
        self._process = process
        self.close = weakref.finalize(self, _end, process, ours)
        """Ends the server and all its workers."""
        self.protection = self._until_ready()

    def start(self, job: socket.socket, ending: socket.socket, *, cpu_s: int) -> bool:
        """Starts a worker.

        Args:
            job: The connection of the worker; closed here.
            ending: Where the server reports the worker's end; closed here.
            cpu_s: The CPU time of the job, s.

        Returns:
            Whether the server took it; False if the server has ended.
        """
        with job, ending:
            try:
                socket.send_fds(self._control, [START.pack(cpu_s)], [job.fileno(), ending.fileno()])
            except OSError:
                return False
        return True

    def _until_ready(self) -> Protection:
        self._control.settimeout(_START_TIMEOUT_S)
        try:
            report = self._control.recv(_MAX_REPORT_BYTES)
        except OSError as error:
            report, why = b"", f"{error}"
        else:
            why = "it ended"
        self._control.settimeout(None)
        stderr = self._process.stderr
        assert stderr is not None  # noqa: S101
        with stderr:
            if not report:
                self._process.kill()
                said = stderr.read().decode(errors="replace").strip()
                self.close()
                raise StartError(said[-_MAX_SHOWN_CHARS:] or why)
        fields = json.loads(report)
        return Protection(**{**fields, "missing": tuple(fields["missing"])})


def _end(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    control.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(1)
    if process.returncode is None:
        process.kill()
        process.wait()
