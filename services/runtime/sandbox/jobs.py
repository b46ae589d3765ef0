"""What a job module contains, and the limits under which it runs.

A job module runs in a worker. It imports nothing of the service, so that the worker is small and
starts fast, and everything that it needs at module level or in `prepare`: a worker opens no files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from services.runtime.sandbox.wire import Content


class RefusedError(Exception):
    """A job refuses its content.

    Attributes:
        reason: A constant in UPPER_SNAKE_CASE.
        text: Why, for the caller.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one job may use."""

    memory_bytes: int
    """The address space beyond that of the idle worker."""
    cpu_s: int
    """CPU time."""
    wall_s: float
    """Time in total, also on a busy machine."""
    max_answer_bytes: int
    """The size of the answer, which the service holds in memory."""
    niceness: int = 0
    """How much less important it is than the service."""

    def to_json(self) -> str:
        """Returns the limits for the command line of the fork server."""
        return json.dumps(asdict(self))


LEAST: Final = Limits(memory_bytes=64 << 20, cpu_s=10, wall_s=60.0, max_answer_bytes=1 << 20)
"""For a job that only answers, to see whether workers can be started."""


class Job(Protocol):
    """The functions of a job module."""

    def prepare(self) -> None:
        """Loads whatever would otherwise be loaded by the first job; runs without limits."""
        ...

    def perform(
        self, request: Mapping[str, Any], content: Content
    ) -> tuple[Mapping[str, Any], Content]:
        """Does one job; runs in a process of its own, under all limits.

        Args:
            request: The parameters from the service.
            content: The file of the stranger.

        Returns:
            The answer: a small JSON object and bytes.

        Raises:
            RefusedError: The content is not acceptable.
        """
        ...
