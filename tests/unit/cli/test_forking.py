"""Processes that are started while gRPC is running."""

from __future__ import annotations

import subprocess
import sys

import pytest

_START_SOME = """
import asyncio
import {first}
import grpc

async def main():
    channel = grpc.aio.insecure_channel("127.0.0.1:1")
    channel.get_state(try_to_connect=True)
    for _ in range(5):
        await asyncio.sleep(0)
        process = await asyncio.create_subprocess_exec("true", preexec_fn=lambda: None)
        assert await process.wait() == 0

asyncio.run(main())
"""


@pytest.mark.parametrize("first", ["cli", "bench"])
def test_grpc_lets_processes_start(first: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _START_SOME.format(first=first)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert "fork" not in ran.stderr
