"""A real process: readiness in the log, SIGTERM, exit codes, and no token in its output."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.requirements import ROOT
from tests.unit.runtime.tiny_service import config_request, open_tiny_stream, tiny_stub

pytestmark = pytest.mark.process


class TinyProcess:
    """A running tiny service and what it has logged."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def event(self, name: str) -> dict[str, Any]:
        """Reads the log up to an event."""
        assert self.process.stderr is not None
        async with asyncio.timeout(90):
            while line := (await self.process.stderr.readline()).decode():
                self.lines.append(line)
                if line.startswith("{") and json.loads(line)["event"] == name:
                    found: dict[str, Any] = json.loads(line)
                    return found
        pytest.fail(f"no event {name!r} in:\n" + "".join(self.lines))

    async def exit_code(self) -> int:
        """Waits for the end and reads the rest of the log."""
        async with asyncio.timeout(90):
            _, rest = await self.process.communicate()
        self.lines += rest.decode().splitlines(keepends=True)
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def tiny_process(**variables: str) -> AsyncIterator[TinyProcess]:
    """Runs the tiny service as a process; it is killed at the end if it still lives."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.unit.runtime.tiny_main"),
        cwd=ROOT,
        env={"ANIMA_TINY_LISTEN": "127.0.0.1:0", **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield TinyProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_sigterm_drains(tmp_path: Path) -> None:
    spans = tmp_path / "spans.jsonl"
    async with tiny_process(ANIMA_TRACE_FILE=str(spans), ANIMA_TOKEN="swordfish") as tiny:
        ready = await tiny.event("ready")
        assert ready["stage"] == "tiny"
        async with tiny_stub(ready["address"], token="swordfish") as stub:
            call = await open_tiny_stream(stub)
            tiny.process.send_signal(signal.SIGTERM)
            draining = await tiny.event("draining")
            assert draining["signal"] == "SIGTERM"
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            assert await call.code() == grpc.StatusCode.OK
            assert await tiny.exit_code() == 0
    assert "stopped" in tiny.lines[-1]
    assert "swordfish" not in "".join(tiny.lines)
    assert all(json.loads(line)["stage"] == "tiny" for line in tiny.lines)
    assert len(spans.read_text().splitlines()) == 2


async def test_soft_limit_of_descriptors_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))  # the process inherits it
    try:
        async with tiny_process() as tiny:
            await tiny.event("ready")
            limits = resource.prlimit(tiny.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert limits == (min(hard, 1 << 20), hard)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_second_signal_ends_at_once(number: signal.Signals) -> None:
    async with tiny_process() as tiny:
        ready = await tiny.event("ready")
        async with tiny_stub(ready["address"]) as stub:
            call = await open_tiny_stream(stub)
            tiny.process.send_signal(number)
            await tiny.event("draining")
            tiny.process.send_signal(number)
            assert await tiny.exit_code() == 128 + number
            assert await call.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_process_that_was_started_with_nohup_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the process inherits it
    try:
        async with tiny_process() as tiny:
            ready = await tiny.event("ready")
            tiny.process.send_signal(signal.SIGHUP)
            async with tiny_stub(ready["address"]) as stub:
                await open_tiny_stream(stub)
            tiny.process.send_signal(signal.SIGTERM)
            assert (await tiny.event("draining"))["signal"] == "SIGTERM"
            assert await tiny.exit_code() == 0
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_failure_is_logged_with_its_trace_and_without_locals() -> None:
    async with tiny_process() as tiny:
        ready = await tiny.event("ready")
        async with tiny_stub(ready["address"]) as stub:
            traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
            call: Any = stub.Recognize(
                iter([config_request("unknown")]), metadata=(("traceparent", traceparent),)
            )
            assert await call.code() == grpc.StatusCode.INTERNAL
            logged = await tiny.event("call failed")
    assert logged["trace_id"] == "a" * 32
    assert logged["method"] == "/anima.asr.v1.AsrService/Recognize"
    frames = logged["exception"][0]["frames"]
    assert frames
    assert all(not frame.get("locals") for frame in frames)


@pytest.mark.parametrize(
    ("variables", "code", "text"),
    [
        ({"ANIMA_TINY_LISTEN": "0.0.0.0:0"}, 2, "set ANIMA_TOKEN"),
        ({"ANIMA_CAPACITY": "many"}, 2, "ANIMA_CAPACITY"),
        ({"ANIMA_TINY_FAIL": "true"}, 1, "anima models pull x"),
        ({"ANIMA_TINY_CAPACTY": "3"}, 2, "did you mean ANIMA_TINY_CAPACITY?"),
        ({"ANIMA_CAPACTY": "3"}, 2, "ANIMA_CAPACTY is not a setting; did you mean ANIMA_CAPACITY?"),
    ],
)
async def test_start_that_fails_says_why(variables: dict[str, str], code: int, text: str) -> None:
    async with tiny_process(**variables) as tiny:
        assert await tiny.exit_code() == code
    assert text in "".join(tiny.lines)
    assert "Traceback" not in "".join(tiny.lines)


async def test_service_links_of_kubernetes_do_no_harm() -> None:
    links = {
        "ANIMA_TINY_PORT": "tcp://10.0.0.7:50052",
        "ANIMA_TINY_PORT_50052_TCP": "tcp://10.0.0.7:50052",
        "ANIMA_TINY_PORT_50052_TCP_ADDR": "10.0.0.7",
        "ANIMA_TINY_SERVICE_HOST": "10.0.0.7",
        "ANIMA_SERVICE_PORT": "50052",
    }
    async with tiny_process(**links) as tiny:
        assert (await tiny.event("ready"))["stage"] == "tiny"
