"""A service in its own process, so that it can be measured, frozen and killed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import psutil

import anima.gateway.v1 as gateway_api
from services.runtime.calls.channels import open_channel

_READY_TIMEOUT_S = 100.0


@dataclass(frozen=True)
class ServiceProcess:
    """A running server.

    Attributes:
        address: The address at which it serves gRPC.
        metrics: The address of its metrics page, if it has one.
        process: The process.
    """

    address: str
    metrics: str | None
    process: psutil.Process

    def resident_bytes(self) -> int:
        """Returns the memory of the process."""
        return int(self.process.memory_info().rss)


@asynccontextmanager
async def service_process(module: str, **settings: object) -> AsyncIterator[ServiceProcess]:
    """Runs a server for the body, which begins when it is ready.

    Args:
        module: What is run, such as "services.tts".
        settings: Its settings, by field name.
    """
    stage = module.rpartition(".")[2].upper()
    values = {"listen": "127.0.0.1:0", **settings}
    environment = {f"ANIMA_{stage}_{name.upper()}": str(value) for name, value in values.items()}
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    assert running.stderr is not None
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            ready = await _ready(running.stderr)
        # The log is not read from here on, and must never block the server.
        draining = asyncio.create_task(_drain(running.stderr))
        yield ServiceProcess(ready["address"], ready["metrics"], psutil.Process(running.pid))
        draining.cancel()
    finally:
        running.kill()
        await running.wait()


@asynccontextmanager
async def gateway_process(
    stages: Mapping[str, str], **settings: object
) -> AsyncIterator[ServiceProcess]:
    """Runs a gateway for the body.

    Args:
        stages: The address of each stage by its name.
        settings: Settings of the gateway, by field name.
    """
    targets = {f"{stage}_target": address for stage, address in stages.items()}
    with TemporaryDirectory(prefix="anima-gateway-") as folder:
        values = {"http_listen": "127.0.0.1:0", "data_dir": folder, **targets, **settings}
        async with service_process("gateway", **values) as gateway:
            yield gateway


@asynccontextmanager
async def stub_of(gateway: ServiceProcess) -> AsyncIterator[Any]:
    """Opens a channel to a gateway."""
    async with open_channel(gateway.address) as channel:
        yield gateway_api.GatewayServiceStub(channel)


async def _ready(log: asyncio.StreamReader) -> dict[str, Any]:
    lines = []
    while line := await log.readline():
        lines.append(line.decode())
        entry: dict[str, Any] = json.loads(line) if line.startswith(b"{") else {}
        if entry.get("event") == "ready":
            return entry
    raise AssertionError("the server has ended:\n" + "".join(lines))


async def _drain(log: asyncio.StreamReader) -> None:
    while line := await log.readline():
        print(line.decode(), end="")  # Shown by pytest when the test fails.
