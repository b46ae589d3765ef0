"""Admission: a service takes as many streams as it can serve well and says so to the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from services.runtime.errors import Busy

RETRY_AFTER_MS = 1000


class Admission:
    """Counts streams against the capacity. It lives on the event loop and needs no lock.

    Attributes:
        capacity: The most streams at the same time.
        active: The streams that are being served.
        idle: Set while no stream is being served.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.active = 0
        self.idle = asyncio.Event()
        self.idle.set()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for the body.

        Raises:
            Busy: All places are taken.
        """
        if self.active >= self.capacity:
            raise Busy(
                f"all {self.capacity} places are taken; try again",
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
