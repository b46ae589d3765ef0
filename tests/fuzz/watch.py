"""What a mesh must look like after any input: the same processes, nothing left, a clean log."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Final

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from gateway.stages.spec import GATEWAY, STAGES
from tests.mesh_process import MeshProcess

SERVICES: Final = (GATEWAY, *STAGES)
_MORE_DESCRIPTORS: Final = 40
"""Connections and workers that a process may keep after its first work; a leak has no bound."""
_MORE_TASKS: Final = 20
_SETTLE_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.2
_METRICS: Final = {
    "process_open_fds": "descriptors",
    "anima_active_streams": "streams",
    "anima_gateway_sessions": "sessions",
    "anima_gateway_tasks": "tasks",
}


def metrics_environment(addresses: dict[str, str]) -> dict[str, str]:
    """Returns the settings by which each service serves its metrics."""
    return {
        f"ANIMA_{service.upper()}_METRICS_LISTEN": address for service, address in addresses.items()
    }


@dataclass
class Watch:
    """Compares a mesh with its state at the start.

    Attributes:
        mesh: The mesh.
        metrics: The address of each service's metrics.
    """

    mesh: MeshProcess
    metrics: dict[str, str]

    def __post_init__(self) -> None:
        """Records the state to which the mesh must return."""
        self._processes = self._running()
        self._usage = {service: self._of(service) for service in self.metrics}
        self._read: dict[str, int] = {}
        self.log_faults()

    def faults(self) -> list[str]:
        """Returns what is wrong, after waiting for the mesh to become idle."""
        faults = self.log_faults()
        if self._running() != self._processes:
            faults.append(f"restarted: {''.join(self.mesh.lines)}")
            return faults
        return faults + asyncio.run(self._left())

    def log_faults(self) -> list[str]:
        """Returns new lines of the logs that report a fault of the code."""
        found = []
        for path in sorted(self.mesh.logs.glob("*.log")):
            with path.open("rb") as log:
                log.seek(self._read.get(path.name, 0))
                new = log.read()
            self._read[path.name] = self._read.get(path.name, 0) + len(new)
            found += [
                f"{path.name}: {line[:2000]}"
                for line in new.decode("utf-8", "replace").splitlines()
                if "Traceback" in line or _level(line) in ("error", "critical")
            ]
        return found

    def _running(self) -> set[tuple[int, float]]:
        children = psutil.Process(self.mesh.process.pid).children()
        return {(child.pid, child.create_time()) for child in children}

    async def _left(self) -> list[str]:
        async with asyncio.timeout(_SETTLE_S * 2):
            end_s = asyncio.get_running_loop().time() + _SETTLE_S
            while left := [each for service in self.metrics for each in self._more(service)]:
                if asyncio.get_running_loop().time() > end_s:
                    break
                await asyncio.sleep(_LOOK_EVERY_S)
        return left

    def _more(self, service: str) -> list[str]:
        before, now = self._usage[service], self._of(service)
        allowed = {"descriptors": _MORE_DESCRIPTORS, "tasks": _MORE_TASKS}
        return [
            f"{service}: {what} {before.get(what, 0):.0f} -> {count:.0f}"
            for what, count in now.items()
            if count > before.get(what, 0) + allowed.get(what, 0)
        ]

    def _of(self, service: str) -> dict[str, float]:
        page = httpx.get(f"http://{self.metrics[service]}/metrics", trust_env=False).text
        usage: dict[str, float] = {}
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if what := _METRICS.get(sample.name):
                    usage[what] = usage.get(what, 0.0) + sample.value
        return usage


def _level(line: str) -> str:
    if not line.startswith("{"):
        return ""
    try:
        return str(json.loads(line).get("level", ""))
    except ValueError:
        return ""
