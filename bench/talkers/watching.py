"""Resources of a mesh: memory and descriptors of processes, tasks and sessions of the gateway."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import psutil
from prometheus_client.parser import text_string_to_metric_families

from cli.mesh.layout import free_address, free_layout
from cli.mesh.supervisor import Supervisor
from services.runtime.config.settings import ServiceSettings

_LOOKS: Final = 60
_LOOK_EVERY_S: Final = 0.5


@asynccontextmanager
async def watched_mesh(
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[Supervisor, Gauges]]:
    """Starts a mesh of processes, with its own memory and metrics, for the body.

    Args:
        settings: Environment variables for its services.
    """
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        (data / "models").symlink_to(ServiceSettings.from_environment().data_dir / "models")
        layout = free_layout()
        metrics = free_address(layout)
        environment = {
            "ANIMA_DATA_DIR": str(data),
            "ANIMA_GATEWAY_METRICS_LISTEN": metrics,
            "ANIMA_GATEWAY_CAPACITY": "128",
            # A connection that is being renewed holds two descriptors for a while.
            "ANIMA_MAX_CONNECTION_AGE_S": "0",
            **(settings or {}),
        }
        supervisor = Supervisor(layout, log_folder=Path(folder), environment=environment)
        async with supervisor.running():
            await supervisor.until_settled()
            if not supervisor.is_ready():
                raise RuntimeError("\n".join(map(supervisor.log_tail, supervisor.statuses)))
            yield supervisor, Gauges(metrics)


class Gauges:
    """Reads the metrics of a gateway.

    Args:
        address: The address at which it serves `/metrics`.
    """

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}/metrics"

    async def read(self) -> dict[str, float]:
        """Returns the values of all metrics without labels, by name."""
        async with httpx.AsyncClient(trust_env=False) as client:
            page = (await client.get(self._url)).text
        return {
            sample.name: sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if not sample.labels
        }

    async def settled(self, is_settled: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        """Returns the values once they satisfy a condition, or after half a minute in any case."""
        values = await self.read()
        for _ in range(_LOOKS):
            if is_settled(values):
                break
            await asyncio.sleep(_LOOK_EVERY_S)
            values = await self.read()
        return values


@dataclass
class Usage:
    """The resources of one process over time.

    Attributes:
        resident_bytes: Its memory and that of its workers, sample by sample.
        descriptors: Its open files and sockets.
    """

    resident_bytes: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def sample(self, process_id: int) -> None:
        """Records the resources that a process and its workers hold now."""
        process = psutil.Process(process_id)
        family = [process, *process.children(recursive=True)]
        self.resident_bytes.append(sum(int(each.memory_info().rss) for each in family))
        self.descriptors.append(sum(int(each.num_fds()) for each in family))

    def growth(self, warm_up: int) -> float:
        """Returns the share by which memory has grown after the warm-up.

        Memory of answers in progress goes up and down; a leak raises the minimum.

        Args:
            warm_up: The number of samples that belong to the warm-up.
        """
        steady = self.resident_bytes[warm_up:]
        fifth = max(1, len(steady) // 5)
        return _floor(steady[-fifth:]) / _floor(steady[:fifth]) - 1


def _floor(samples: list[int]) -> float:
    return float(np.percentile(samples, 10))
