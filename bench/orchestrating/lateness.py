"""Lateness of the gateway's paced writes, from its own histogram."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

_NAME = "anima_gateway_media_lateness_seconds"


class Lateness:
    """Reads the histogram of a gateway.

    Args:
        address: The address at which the gateway serves `/metrics`.
    """

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}/metrics"
        self._before: dict[float, float] = {}

    async def start(self) -> None:
        """Records the counts so far."""
        self._before = await self._read()

    async def p99_s(self) -> float:
        """Returns the 99th percentile since `start`, interpolated in its bucket, seconds."""
        counts = {
            bound: count - self._before.get(bound, 0.0)
            for bound, count in (await self._read()).items()
        }
        wanted = 0.99 * max(counts.values())
        lower_bound, lower_count = 0.0, 0.0
        for bound, count in sorted(counts.items()):
            if count >= wanted:
                share = (wanted - lower_count) / max(1.0, count - lower_count)
                return lower_bound + share * (bound - lower_bound)
            lower_bound, lower_count = bound, count
        return lower_bound

    async def _read(self) -> dict[float, float]:
        async with httpx.AsyncClient() as client:
            page = (await client.get(self._url)).text
        return {
            float(sample.labels["le"]): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == f"{_NAME}_bucket"
        }
