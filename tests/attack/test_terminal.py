"""Signals to `anima up`: its terminal is closed, or somebody is in a hurry."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from anima.gateway import v1 as gateway
from services.runtime.calls.channels import open_channel
from tests.mesh_process import free_first_port, own_data, running_mesh
from tests.requirements import need
from tests.unit.gateway.conversing import grpc_conversation

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(300)]

IN_THE_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "cli", *sys.argv[1:]])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_second_signal_does_not_wait_for_the_answer(
    tmp_path: Path, number: signal.Signals
) -> None:
    need("minilm")
    with running_mesh(tmp_path, {"ANIMA_LLM_WORD_INTERVAL_MS": "2000"}) as mesh:
        processes = mesh.processes()
        async with open_channel(mesh.gateway_address) as channel:
            stub: Any = gateway.GatewayServiceStub(channel)
            async with grpc_conversation(stub) as (send, said):
                text = gateway.TextInput(text="How do you work?")
                await send(gateway.ConverseRequest(text=text))
                await said.until_kind("text_delta")
                mesh.process.send_signal(number)
                # The gateway has begun to drain.
                await said.until_kind("notice")
                mesh.process.send_signal(number)
                # The timeout of the test is the limit; without hurry it is that of the answer.
                await asyncio.to_thread(mesh.process.wait)
                assert not said.all("turn_ended") or said.all("turn_ended")[-1].reason
        _, left = psutil.wait_procs(processes, timeout=30)
        assert not left


def test_a_closed_terminal_stops_everything(tmp_path: Path) -> None:
    need("minilm")
    master, slave = os.openpty()
    first_port = free_first_port()
    http = f"127.0.0.1:{first_port + 8}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", IN_THE_TERMINAL, "up", "--http", http),
            *("--first-port", str(first_port), "--logs", str(tmp_path)),
        ],
        env={**os.environ, "ANIMA_DATA_DIR": str(own_data(tmp_path)), "OMP_NUM_THREADS": "1"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        printed = b""
        while b"Talk to Anima" not in printed:
            printed += os.read(master, 65_536)
        processes = [psutil.Process(process.pid), *_started_by(process.pid)]
    finally:
        os.close(master)  # the kernel sends SIGHUP
    try:
        assert process.wait(120) == 0
        _, left = psutil.wait_procs(processes, timeout=30)
        assert not left
    finally:
        process.kill()
    gateway_log = (tmp_path / "gateway.log").read_text()
    assert "stopped" in gateway_log


def _started_by(process_id: int) -> list[psutil.Process]:
    return list(psutil.Process(process_id).children(recursive=True))
