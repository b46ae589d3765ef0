"""A mesh under attack: its addresses, processes, logs and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from cli.mesh.layout import free_addresses
from gateway.stages.spec import GATEWAY, STAGES
from services.runtime.errors import Busy, error_from_rpc
from tests.fuzz.watch import SERVICES, metrics_environment
from tests.mesh_process import MeshProcess, running_mesh

TOKEN: Final = "attacked-0123456789abcdef0123456789abcdef"
MIB: Final = 1 << 20
_LOOK_EVERY_S: Final = 0.2


@dataclass(frozen=True)
class Attacked:
    """A running mesh.

    Attributes:
        mesh: The mesh.
        metrics: The address of each service's metrics.
        data: Its data folder.
    """

    mesh: MeshProcess
    metrics: Mapping[str, str]
    data: Path

    @property
    def http(self) -> str:
        """The host and port of the HTTP edge."""
        return self.mesh.http_address

    @property
    def http_port(self) -> int:
        return int(self.http.rpartition(":")[2])

    def url(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://{self.http}{path}"

    def address(self, service: str) -> str:
        """Returns the gRPC address of a service."""
        return self.mesh.gateway_address if service == GATEWAY else self.mesh.address(service)

    def channel(self, service: str) -> grpc.aio.Channel:
        """Opens a connection of its own."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.aio.insecure_channel(self.address(service), options=options)

    def process(self, service: str) -> psutil.Process:
        module = GATEWAY if service == GATEWAY else STAGES[service].module
        children = psutil.Process(self.mesh.process.pid).children()
        (found,) = (child for child in children if child.cmdline()[-1] == module)
        return found

    def total(self, service: str, metric: str, **labels: str) -> float:
        """Returns the sum of a metric's samples with these labels."""
        page = httpx.get(f"http://{self.metrics[service]}/metrics", trust_env=False).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == metric
            and all(sample.labels.get(name) == value for name, value in labels.items())
        )

    def log_bytes(self) -> int:
        """Returns the size of all logs, rotated ones included."""
        return sum(path.stat().st_size for path in self.mesh.logs.glob("*.log*"))

    def resident_bytes(self, service: str) -> int:
        """Returns the memory of a service and its workers."""
        process = self.process(service)
        family = [process, *process.children(recursive=True)]
        return sum(int(each.memory_info().rss) for each in family)


@contextmanager
def attacked_mesh(folder: Path, environment: Mapping[str, str]) -> Iterator[Attacked]:
    """Runs a mesh with metrics for the body."""
    metrics = dict(zip(SERVICES, free_addresses(len(SERVICES)), strict=True))
    settings = {**metrics_environment(metrics), "OMP_NUM_THREADS": "1", **environment}
    with running_mesh(folder, settings) as mesh:
        yield Attacked(mesh, metrics, folder / "data")


def refusal(error: grpc.aio.AioRpcError) -> str:
    """Returns the status and the text of a refused call, for messages of tests."""
    return f"{error.code().name}: {error.details()}"


async def until(is_so: Callable[[], bool]) -> None:
    """Waits until a process has reached a state; the timeout of the test is the limit."""
    while not is_so():  # noqa: ASYNC110 (another process has no event here)
        await asyncio.sleep(_LOOK_EVERY_S)


async def until_it_works(attempt: Callable[[], Awaitable[Any]]) -> Any:
    """Repeats a call after the times that its refusals name."""
    while True:
        try:
            return await attempt()
        except grpc.aio.AioRpcError as error:
            busy = error_from_rpc(error)
            if not isinstance(busy, Busy) or not busy.retry_after_ms:
                raise
        await asyncio.sleep(busy.retry_after_ms / 1000)


async def until_answered(mesh: Attacked) -> None:
    """Asks until the gateway has a place, after the times that it names."""
    async with httpx.AsyncClient(timeout=300, trust_env=False) as client:
        while True:
            answer = await client.post(
                mesh.url("/v1/ask?format=json"), json={"text": "Who are you?"}
            )
            if answer.status_code != 429:
                break
            await asyncio.sleep(float(answer.headers["retry-after"]))
    assert answer.status_code == 200, answer.text
