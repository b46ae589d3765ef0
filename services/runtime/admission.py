"""Admission control: a service accepts only as many streams as it can serve well."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from services.runtime.errors import Busy

RETRY_AFTER_MS = 1000


class Admission:
    """Counts streams against the capacity. Used only on the event loop, so it needs no lock.

    Attributes:
        capacity: The maximum number of concurrent streams.
        of: What the places are for, in the text of a refusal.
        active: The number of streams being served.
        idle: Set while no stream is being served.
    """

    def __init__(self, capacity: int, *, of: str = "") -> None:
        self.capacity = capacity
        self.of = of
        self.active = 0
        self.idle = asyncio.Event()
        self.idle.set()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Occupies a place for the body.

        Raises:
            Busy: All places are taken.
        """
        if self.active >= self.capacity:
            of = f" for {self.of}" if self.of else ""
            raise Busy(
                f"all {self.capacity} places{of} are taken; try again",
                retry_after_ms=RETRY_AFTER_MS,
                reason="CAPACITY",
                metadata={"capacity": str(self.capacity)},
            )
        self.active += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.active -= 1
            if not self.active:
                self.idle.set()
