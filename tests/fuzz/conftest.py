"""The mesh that all fuzz tests share, and an event loop for the tests that hypothesis drives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from cli.mesh.layout import free_addresses
from tests.fuzz.watch import SERVICES, Watch, metrics_environment
from tests.mesh_process import MeshProcess, running_mesh
from tests.requirements import need


@dataclass
class Fuzzed:
    """A mesh under test.

    Attributes:
        mesh: The mesh.
        watch: Its state at the start.
        runner: The event loop of the clients.
        channels: A channel to each service.
    """

    mesh: MeshProcess
    watch: Watch
    runner: asyncio.Runner
    channels: dict[str, grpc.aio.Channel]


@pytest.fixture(scope="session")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    need("encoder")
    metrics = dict(zip(SERVICES, free_addresses(len(SERVICES)), strict=True))
    environment = {**metrics_environment(metrics), "OMP_NUM_THREADS": "1"}
    with (
        running_mesh(tmp_path_factory.mktemp("fuzzed-mesh"), environment) as mesh,
        asyncio.Runner() as runner,
    ):
        channels = runner.run(_channels(mesh))
        yield Fuzzed(mesh, Watch(mesh, metrics), runner, channels)
        runner.run(_close(channels))


async def _channels(mesh: MeshProcess) -> dict[str, Any]:
    addresses = {stage: mesh.address(stage) for stage in SERVICES[1:]}
    addresses[SERVICES[0]] = mesh.gateway_address
    return {name: grpc.aio.insecure_channel(address) for name, address in addresses.items()}


async def _close(channels: dict[str, Any]) -> None:
    for channel in channels.values():
        await channel.close()
