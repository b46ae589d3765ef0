"""A gateway in a process of its own in front of scripted stages: what it holds can be measured."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psutil

import anima.gateway.v1 as gateway_api
from services.runtime.channels import open_channel

_READY_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class GatewayProcess:
    """A running `python -m gateway`.

    Attributes:
        address: Where it serves gRPC.
        process: The process.
    """

    address: str
    process: psutil.Process

    def resident_bytes(self) -> int:
        """Gives how much memory the process has."""
        return int(self.process.memory_info().rss)

    @asynccontextmanager
    async def stub(self) -> AsyncIterator[Any]:
        """Opens a channel to it."""
        async with open_channel(self.address) as channel:
            yield gateway_api.GatewayServiceStub(channel)


@asynccontextmanager
async def gateway_process(
    stages: Mapping[str, str], **settings: object
) -> AsyncIterator[GatewayProcess]:
    """Runs a gateway for the body.

    Args:
        stages: The address of each stage by its name.
        settings: Settings of the gateway, by field name.
    """
    values = {"listen": "127.0.0.1:0", "http_listen": "127.0.0.1:0", **settings}
    values |= {f"{stage}_target": address for stage, address in stages.items()}
    environment = {f"ANIMA_GATEWAY_{name.upper()}": str(value) for name, value in values.items()}
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    assert running.stderr is not None
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            address = await _address(running.stderr)
        # Nobody reads the log from here on, and it must never hold the gateway up.
        draining = asyncio.create_task(_drain(running.stderr))
        yield GatewayProcess(address, psutil.Process(running.pid))
        draining.cancel()
    finally:
        running.kill()
        await running.wait()


async def _address(log: asyncio.StreamReader) -> str:
    lines = []
    while line := await log.readline():
        lines.append(line.decode())
        entry = json.loads(line) if line.startswith(b"{") else {}
        if entry.get("event") == "ready":
            return str(entry["address"])
    raise AssertionError("the gateway has ended:\n" + "".join(lines))


async def _drain(log: asyncio.StreamReader) -> None:
    while await log.readline():
        pass
