"""Whatever a file of a stranger makes its decoder do, it ends with that file's worker."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.runtime.errors import Busy, Unavailable
from services.runtime.sandbox.jobs import Limits, RefusedError
from services.runtime.sandbox.sandbox import Sandbox, WorkerError
from tests.requirements import need

LIMITS = Limits(memory_bytes=128 << 20, cpu_s=60, wall_s=60, max_answer_bytes=1 << 20)
JOB = "testing.hostile.job"
LOOK_EVERY_S = 0.01
SERVICE = f"""
import sys, threading
from services.runtime.sandbox.jobs import Limits
from services.runtime.sandbox.sandbox import Sandbox
sandbox = Sandbox({JOB!r}, limits={LIMITS!r})
sandbox.protection()
print(sandbox.server_pid, flush=True)
sandbox.run({{"act": "sleep"}})
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(JOB, limits=LIMITS, idle_s=600)
    yield sandbox
    sandbox.close()


@pytest.fixture(autouse=True)
def as_before(sandbox: Sandbox) -> Iterator[None]:
    """After each attack the next job works, and no process is left."""
    sandbox.run({"act": "nothing"})
    before = workers(sandbox)
    yield
    assert did(sandbox, "nothing")
    assert workers(sandbox) == before == set()


def workers(sandbox: Sandbox) -> set[psutil.Process]:
    assert sandbox.server_pid is not None
    return set(psutil.Process(sandbox.server_pid).children(recursive=True))


def did(sandbox: Sandbox, act: str, **request: Any) -> Any:
    return sandbox.run({"act": act, **request}).header["did"]


def denied(sandbox: Sandbox, act: str, **request: Any) -> bool:
    """Reports whether the kernel refused it; skips on a machine that cannot."""
    need("sandbox")
    found = sandbox.run({"act": act, **request}).header
    return found in ({"denied": errno.EPERM}, {"denied": errno.EACCES})


def test_bytes_go_there_and_back(sandbox: Sandbox) -> None:
    sent = bytes(range(256)) * 4_096
    assert sandbox.run({"act": "nothing"}, sent).content == sent


@pytest.mark.parametrize(
    ("act", "number"), [("segfault", signal.SIGSEGV), ("abort", signal.SIGABRT)]
)
def test_a_crash_ends_the_worker_alone(sandbox: Sandbox, act: str, number: signal.Signals) -> None:
    with pytest.raises(WorkerError, match=f"crashed: signal {number:d} ended it"):
        sandbox.run({"act": act})


@pytest.mark.parametrize("act", ["compute", "compute_on"])
def test_a_worker_that_computes_for_too_long_is_ended(sandbox: Sandbox, act: str) -> None:
    with pytest.raises(WorkerError) as raised:
        sandbox.run({"act": act}, cpu_s=1, wall_s=60)
    assert raised.value.kind == "out of time"


def test_a_worker_that_hangs_is_ended(sandbox: Sandbox) -> None:
    with pytest.raises(WorkerError, match="out of time: its time is over"):
        sandbox.run({"act": "sleep"}, wall_s=0.2)


def test_a_worker_that_allocates_without_end_is_ended(sandbox: Sandbox) -> None:
    with pytest.raises(WorkerError, match="out of memory"):
        sandbox.run({"act": "allocate"})


def test_a_worker_that_recurses_without_end_is_ended(sandbox: Sandbox) -> None:
    with pytest.raises(WorkerError, match="crashed: RecursionError"):
        sandbox.run({"act": "recurse"})


@pytest.mark.parametrize("act", ["connect", "datagram"])
def test_a_worker_reaches_no_network(sandbox: Sandbox, act: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert denied(sandbox, act, port=listener.getsockname()[1])
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_worker_reads_no_file(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("4711")
    secret.chmod(0o644)
    for path in (str(secret), "/etc/passwd", f"/proc/{os.getpid()}/environ", "/proc/self/maps"):
        assert denied(sandbox, "read", path=path), path
    assert denied(sandbox, "list", path="/")


def test_a_worker_writes_no_file(sandbox: Sandbox, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert denied(sandbox, "write", path=str(tmp_path / "new"))
    assert not list(tmp_path.iterdir())
    assert denied(sandbox, "write", path="/dev/shm/anima-new")


@pytest.mark.parametrize("act", ["fork", "execute", "thread", "run_data"])
def test_a_worker_starts_nothing(sandbox: Sandbox, act: str) -> None:
    assert denied(sandbox, act)


@pytest.mark.parametrize("act", ["kill_parent", "kill", "trace"])
def test_a_worker_touches_no_other_process(sandbox: Sandbox, act: str) -> None:
    assert denied(sandbox, act, pid=os.getpid())


def test_a_worker_has_no_descriptor_of_the_service(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        assert did(sandbox, "descriptors") == [0, 1, 2, 3]


def test_a_worker_knows_no_secret_of_the_service(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    monkeypatch.setenv("ANIMA_TOKEN", "secret")
    fresh = Sandbox(JOB, limits=LIMITS)
    variables = fresh.run({"act": "environment"}).header["did"]
    fresh.close()
    assert "secret" not in str(variables)
    assert not {"HOME", "PATH", "USER"} & set(variables)


def test_a_worker_cannot_raise_its_limits(sandbox: Sandbox) -> None:
    with pytest.raises(WorkerError, match="not allowed to raise"):
        sandbox.run({"act": "raise_limits"})


def test_nothing_of_a_job_reaches_the_next(sandbox: Sandbox) -> None:
    assert [did(sandbox, "remember") for _ in range(2)] == [0, 0]


def test_a_refusal_is_one_line_of_bounded_length(sandbox: Sandbox) -> None:
    with pytest.raises(RefusedError) as raised:
        sandbox.run({"act": "refuse"})
    assert raised.value.reason == "UGLY"
    assert raised.value.text.startswith("it is ugly!!")
    assert len(raised.value.text) <= 300


@pytest.mark.parametrize("act", ["shout", "close"])
def test_what_is_no_answer_is_not_taken_for_one(sandbox: Sandbox, act: str) -> None:
    with pytest.raises(WorkerError, match="crashed"):
        sandbox.run({"act": act})


def test_an_answer_that_is_too_large_is_not_read(sandbox: Sandbox) -> None:
    with pytest.raises(WorkerError, match="it has 1099511627776 bytes, and 1048576 are allowed"):
        sandbox.run({"act": "flood", "bytes": 1 << 40})


def test_the_kernel_confines_more_than_limits_do(sandbox: Sandbox) -> None:
    protection = sandbox.protection()
    need("sandbox")
    assert protection.seccomp
    assert protection.landlock_abi >= 1
    assert protection.unprivileged


async def test_a_cancelled_call_takes_its_worker_along(sandbox: Sandbox) -> None:
    calling = asyncio.ensure_future(sandbox.call({"act": "sleep"}))
    while not workers(sandbox):  # noqa: ASYNC110 - nothing reports a process that begins
        await asyncio.sleep(LOOK_EVERY_S)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert not workers(sandbox)


async def test_no_more_jobs_run_than_allowed_and_few_wait(sandbox: Sandbox) -> None:
    small = Sandbox(JOB, limits=LIMITS, processes=1, max_waiting=1)
    first = asyncio.ensure_future(small.call({"act": "sleep"}))
    second = asyncio.ensure_future(small.call({"act": "nothing"}))
    await asyncio.sleep(0)
    with pytest.raises(Busy, match="try again in a moment"):
        await small.call({"act": "nothing"})
    while small.server_pid is None or not workers(small):  # noqa: ASYNC110 - as above
        await asyncio.sleep(LOOK_EVERY_S)
    assert len(workers(small)) == 1
    second.cancel()
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert (await small.call({"act": "nothing"})).header["did"]
    small.close()


def test_a_server_that_was_killed_is_replaced(sandbox: Sandbox) -> None:
    killed = sandbox.server_pid
    assert killed is not None
    process = psutil.Process(killed)
    process.kill()
    psutil.wait_procs([process], timeout=60)
    assert did(sandbox, "nothing")
    assert sandbox.server_pid != killed


def test_a_server_without_work_ends(sandbox: Sandbox) -> None:
    short = Sandbox(JOB, limits=LIMITS, idle_s=0.05)
    assert did(short, "nothing")
    if short.server_pid is not None:
        psutil.wait_procs([psutil.Process(short.server_pid)], timeout=60)
    assert did(short, "nothing")
    short.close()


def test_a_server_that_was_started_early_ends_without_a_job(sandbox: Sandbox) -> None:
    early = Sandbox(JOB, limits=LIMITS, idle_s=0.05)
    early.start()
    before = set(psutil.Process().children())
    while not (found := set(psutil.Process().children()) - before) and early.server_pid is None:
        time.sleep(LOOK_EVERY_S)
    psutil.wait_procs(list(found), timeout=60)
    assert did(early, "nothing")
    early.close()


def test_workers_end_with_their_service(sandbox: Sandbox) -> None:
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, cwd=Path.cwd(), text=True
    )
    with service:
        assert service.stdout is not None
        pids = (line for line in service.stdout if line.strip().isdigit())
        server = psutil.Process(int(next(pids)))
        while not (running := [server, *server.children()])[1:]:
            time.sleep(LOOK_EVERY_S)
        service.kill()
    _, alive = psutil.wait_procs(running, timeout=60)
    assert not alive


def test_a_job_module_that_fails_to_load_is_told_of(sandbox: Sandbox) -> None:
    broken = Sandbox("testing.hostile.missing", limits=LIMITS)
    with pytest.raises(Unavailable, match="no worker process can be started"):
        broken.run({})
    assert broken.server_pid is None
