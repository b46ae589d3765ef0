"""Processor time of a process, with a resolution that is fine enough for a single turn."""

from __future__ import annotations

import time
from pathlib import Path

import psutil


class ProcessorTime:
    """Reads the processor time of all threads of a process.

    `/proc/PID/stat` counts in steps of 10 ms, which is a third of a turn; the scheduler's own count
    (Linux) is in nanoseconds. If there is none, psutil's is used.

    Args:
        process_id: The process.
        idle_load: The share of a core that it uses while idle, which is subtracted.
    """

    def __init__(self, process_id: int, *, idle_load: float = 0.0) -> None:
        self._process = psutil.Process(process_id)
        self._tasks = Path(f"/proc/{process_id}/task")
        self._idle_load = idle_load
        self.start()

    def start(self) -> None:
        """Starts counting."""
        self._before_s, self._started_at = self._used_s(), time.perf_counter()

    def used_s(self) -> float:
        """Returns the time used since `start`, minus the idle load, seconds."""
        elapsed_s = time.perf_counter() - self._started_at
        return self._used_s() - self._before_s - self._idle_load * elapsed_s

    def load(self) -> float:
        """Returns the share of a core that was used since `start`."""
        return self.used_s() / (time.perf_counter() - self._started_at)

    def _used_s(self) -> float:
        try:
            used_ns = [int((task / "schedstat").read_text().split()[0]) for task in self._threads()]
            return sum(used_ns) / 1e9
        except OSError:
            times = self._process.cpu_times()
            return float(times.user + times.system)

    def _threads(self) -> list[Path]:
        return list(self._tasks.iterdir())
