"""A job that does whatever it is asked: the decoder whose faults somebody exploits."""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from services.runtime.sandbox.jobs import RefusedError
from services.runtime.sandbox.wire import Content

_libc = ctypes.CDLL(None, use_errno=True)


def prepare() -> None:
    """Does nothing."""


def perform(request: Mapping[str, Any], content: Content) -> tuple[Mapping[str, Any], Content]:
    """Does what the request names, or else the content, as JSON.

    The answer holds what the system said to it.
    """
    if "act" not in request:
        request = json.loads(bytes(content))
    if request["act"] == "answer":  # as a decoder that works, or one that lies
        return request["header"], bytes(request["bytes"])
    act = _ACTS[request["act"]]
    try:
        return {"did": act(request)}, content
    except OSError as error:
        return {"denied": error.errno}, b""


def _segfault(_: Mapping[str, Any]) -> Any:
    ctypes.string_at(1)


def _abort(_: Mapping[str, Any]) -> Any:
    os.abort()


def _compute(_: Mapping[str, Any]) -> Any:
    while True:
        pass


def _compute_on(_: Mapping[str, Any]) -> Any:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while True:
        pass


def _sleep(_: Mapping[str, Any]) -> Any:
    while True:
        time.sleep(60)


def _allocate(_: Mapping[str, Any]) -> Any:
    kept = []
    while True:
        kept.append(bytes(16 << 20))


def _recurse(request: Mapping[str, Any]) -> Any:
    return _recurse(request)


def _refuse(_: Mapping[str, Any]) -> Any:
    raise RefusedError("UGLY", "it is\nugly" + "!" * 1_000)


def _connect(request: Mapping[str, Any]) -> Any:
    with socket.socket() as out:
        out.connect(("127.0.0.1", request["port"]))


def _datagram(request: Mapping[str, Any]) -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"hello", ("127.0.0.1", request["port"]))


def _read(request: Mapping[str, Any]) -> Any:
    return os.read(os.open(request["path"], os.O_RDONLY), 100).hex()


def _write(request: Mapping[str, Any]) -> Any:
    descriptor = os.open(request["path"], os.O_WRONLY | os.O_CREAT)
    return os.write(descriptor, b"here I was")


def _list(request: Mapping[str, Any]) -> Any:
    with os.scandir(request["path"]) as found:
        return sorted(each.name for each in found)


def _fork(_: Mapping[str, Any]) -> Any:
    if not os.fork():
        time.sleep(600)
    return "forked"


def _execute(_: Mapping[str, Any]) -> Any:
    os.execv("/bin/sh", ["/bin/sh", "-c", "sleep 600"])  # noqa: S606


def _run_data(_: Mapping[str, Any]) -> Any:
    every = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    mmap.mmap(-1, mmap.PAGESIZE, prot=every).close()


def _thread(_: Mapping[str, Any]) -> Any:
    try:
        threading.Thread(target=time.sleep, args=(0,)).start()
    except RuntimeError as error:
        raise OSError(1, str(error)) from error


def _kill_parent(_: Mapping[str, Any]) -> Any:
    os.kill(os.getppid(), signal.SIGKILL)


def _kill(request: Mapping[str, Any]) -> Any:
    os.kill(request["pid"], signal.SIGKILL)


def _trace(request: Mapping[str, Any]) -> Any:
    if _libc.ptrace(16, request["pid"], 0, 0):  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")


def _descriptors(_: Mapping[str, Any]) -> Any:
    found = []
    for number in range(256):
        try:
            os.lseek(number, 0, os.SEEK_CUR)
        except OSError as error:
            if error.errno == errno.EBADF:
                continue
        found.append(number)
    return found


def _environment(_: Mapping[str, Any]) -> Any:
    return dict(os.environ)


def _raise_limits(_: Mapping[str, Any]) -> Any:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)


def _shout(_: Mapping[str, Any]) -> Any:
    os.write(3, b"\xff" * (1 << 20))


def _close(_: Mapping[str, Any]) -> Any:
    os.close(3)
    time.sleep(600)


def _flood(request: Mapping[str, Any]) -> Any:
    os.write(3, struct.pack("!IQ", 2, request["bytes"]) + b"{}")
    while True:
        os.write(3, bytes(1 << 16))


def _nothing(_: Mapping[str, Any]) -> Any:
    return os.getpid()


def _remember(_: Mapping[str, Any]) -> Any:
    seen = getattr(_remember, "seen", 0)
    _remember.seen = seen + 1  # type: ignore[attr-defined]
    return seen


_ACTS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    name.removeprefix("_"): act
    for name, act in list(globals().items())
    if name.startswith("_") and getattr(act, "__module__", "") == __name__
}
