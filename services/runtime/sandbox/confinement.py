"""Takes rights from the running process: none of these functions can be undone.

The fork server drops what no job needs: privileges, files, network, secrets. Each job drops more:
memory, CPU time, further processes, and every system call that computing does not need.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import mmap
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_NOBODY: Final = 65_534
SERVER_DESCRIPTORS: Final = 64
JOB_SOCKET: Final = 3
"""The descriptor of a job's connection; the only one beside the three standard ones."""

# Memory, time, signals to itself, and the connection that is already open. No open, socket, execve,
# fork, clone, ptrace or ioctl; no call that names another process.
_ALLOWED_CALLS: Final = (
    *("read", "write", "readv", "writev", "recvfrom", "sendto", "close", "lseek", "fstat"),
    *("poll", "ppoll", "select", "pselect6"),
    *("munmap", "mremap", "madvise", "brk", "membarrier"),
    *("futex", "set_robust_list", "get_robust_list", "rseq", "sched_yield", "sched_getaffinity"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time"),
    *("getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getcpu"),
    *("getrandom", "getrusage", "times", "uname", "sysinfo", "exit", "exit_group"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Protection:
    """What the kernel of this machine enforces beyond resource limits."""

    landlock_abi: int
    """The version of Landlock; 0 if it is not available."""
    seccomp: bool
    """Whether system calls are filtered."""
    unprivileged: bool
    """Whether the worker has another user id than root."""
    missing: tuple[str, ...] = ()
    """What is not available, each with the reason."""


class SystemCallFilter:
    """A seccomp filter, prepared while the library can still be loaded.

    Attributes:
        missing: Why there is no filter; empty if there is one.
    """

    def __init__(self) -> None:
        self.missing = ""
        self._filter: Any = None
        try:
            seccomp = importlib.import_module("pyseccomp")
            built = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
            for name in _ALLOWED_CALLS:
                # Some do not exist on every architecture.
                if (number := seccomp.resolve_syscall(seccomp.Arch.NATIVE, name)) >= 0:
                    built.add_rule(seccomp.ALLOW, number)
            # Memory that is both written and run is how a fault becomes a program.
            not_executable = seccomp.Arg(2, seccomp.MASKED_EQ, mmap.PROT_EXEC, 0)
            for name in ("mmap", "mprotect"):
                built.add_rule(seccomp.ALLOW, name, not_executable)
            self._seccomp = seccomp
            self._filter = built
        except (ImportError, RuntimeError, OSError) as error:
            self.missing = f"seccomp ({error}): apt-get install libseccomp2"

    def apply(self) -> None:
        """Filters the system calls of this process from now on."""
        if self._filter is None:
            return
        own = self._seccomp.Arg(0, self._seccomp.EQ, os.getpid())
        for name in ("tgkill", "kill"):  # abort() must end the process as usual
            self._filter.add_rule(self._seccomp.ALLOW, name, own)
        self._filter.load()


def address_space_bytes() -> int | None:
    """Returns the size of the address space of this process; None if the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()


def confine_server(calls: SystemCallFilter) -> Protection:
    """Confines the fork server, and with it all its jobs."""
    landlock, fault = _load_landlock()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (SERVER_DESCRIPTORS,) * 2)
    os.umask(0o077)
    unprivileged = _become_nobody()
    if sys.platform == "linux":
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _prctl(_PR_SET_DUMPABLE, 0)
    abi = 0
    if landlock is not None:
        scoped = landlock.Scope.ABSTRACT_UNIX_SOCKET | landlock.Scope.SIGNAL
        with landlock.Ruleset(scoped=scoped) as ruleset:
            ruleset.restrict()
            abi = ruleset.abi_version
    return Protection(
        landlock_abi=abi,
        seccomp=not calls.missing,
        unprivileged=unprivileged,
        missing=tuple(text for text in (fault, calls.missing) if text),
    )


def confine_job(
    calls: SystemCallFilter,
    *,
    server_pid: int,
    address_space: int | None,
    cpu_s: int,
    niceness: int,
) -> None:
    """Confines a job; its descriptors beyond `JOB_SOCKET` must be closed already.

    Args:
        calls: The filter of system calls.
        server_pid: The fork server, with which the job ends.
        address_space: The most bytes that may be mapped; None: no limit.
        cpu_s: CPU time, s.
        niceness: How much the job's priority is lowered.
    """
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != server_pid:  # it ended before the call above
            os._exit(1)
    os.nice(niceness)
    # A program may handle SIGXCPU; the hard limit, one second later, cannot be handled.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    if address_space is not None:
        resource.setrlimit(resource.RLIMIT_AS, (address_space,) * 2)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (JOB_SOCKET + 1,) * 2)
    calls.apply()


def _become_nobody() -> bool:
    """Stops being root, whom no limit on processes and no file mode stops."""
    if os.geteuid() != 0:
        return True
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except (OSError, AttributeError):  # a user namespace without that id
        return False
    return True


def _load_landlock() -> tuple[Any, str]:
    """Returns the library, or why this machine has no Landlock."""
    try:
        landlock = importlib.import_module("landlockpy")
        landlock.abi_version()
    except (ImportError, OSError) as error:
        return None, f"Landlock ({error}): it needs Linux 5.13, with landlock in its list lsm="
    return landlock, ""


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")
