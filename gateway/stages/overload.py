"""Full stages: new sessions are refused while one is full; running ones keep priority."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from services.runtime.errors import Busy


class Overload:
    """Records which stages are full, and until when."""

    def __init__(self) -> None:
        self._full_until: dict[str, float] = {}

    def report(self, stage: str, retry_after_ms: int) -> None:
        """Records that a stage has refused a stream because all its places are taken.

        Args:
            stage: The name of the stage.
            retry_after_ms: The time after which it expects a free place, ms.
        """
        until = asyncio.get_running_loop().time() + retry_after_ms / 1000
        self._full_until[stage] = max(until, self._full_until.get(stage, until))

    def check(self, stages: Iterable[str]) -> None:
        """Rejects a new session while a stage that it needs is full.

        Raises:
            Busy: A stage is full; carries the time after which a place may be free.
        """
        now = asyncio.get_running_loop().time()
        for stage in stages:
            left_s = self._full_until.get(stage, now) - now
            if left_s > 0:
                raise Busy(
                    f"{stage} is full; try again in {left_s:.1f} s",
                    retry_after_ms=max(1, round(left_s * 1000)),
                    reason="CAPACITY",
                    metadata={"stage": stage},
                )
