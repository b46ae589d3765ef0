"""Retention: erases turns and facts beyond the age set in the settings, in the background."""

from anima.memory.v1 import ITEM_KIND_FACT
from memory.erasure.chunks import erase_where
from memory.service.background import Periodic
from memory.store import Truth
from services.runtime.observing.logs import get_logger
from services.runtime.process.clock import unix_ms
from services.runtime.process.compute import Compute

_DAY_MS = 86_400_000
_INTERVAL_S = 3_600.0
_EXPIRED_TURNS = (
    f"kind <> {ITEM_KIND_FACT} AND created_unix_ms < ? AND NOT EXISTS ("  # noqa: S608
    "SELECT 1 FROM fact_source JOIN fact ON fact.item = fact_source.fact"
    " WHERE fact_source.source = item.id AND pinned <> 0)"
    " AND NOT EXISTS (SELECT 1 FROM summary_source JOIN summary"
    " ON summary.item = summary_source.summary"
    " WHERE summary_source.source = item.id AND pinned <> 0)"
    " AND NOT EXISTS (SELECT 1 FROM summary WHERE summary.item = item.id AND pinned <> 0)"
)
# The age of a fact counts from the last time that it was stated, or from its end.
_EXPIRED_FACTS = (
    "id IN (SELECT fact.item FROM fact WHERE pinned = 0 AND ? > greatest(valid_from_unix_ms,"
    " valid_to_unix_ms, coalesce((SELECT max(source.created_unix_ms) FROM fact_source"
    " JOIN item AS source ON source.id = fact_source.source"
    " WHERE fact_source.fact = fact.item), 0)))"
)


def expire(store: Truth, *, turn_days: int, fact_days: int, now_unix_ms: int) -> int:
    """Erases turns and facts that are too old; facts are erased with their last source turn.

    Args:
        store: The storage.
        turn_days: The age at which turns are erased; 0 means never.
        fact_days: The age at which facts are erased; 0 means never.
        now_unix_ms: The current time, ms since 1970-01-01 UTC.

    Returns:
        The number of turns and facts that were too old; dependent items are not counted.
    """
    return sum(
        erase_where(store, condition, (now_unix_ms - days * _DAY_MS,))
        for condition, days in ((_EXPIRED_TURNS, turn_days), (_EXPIRED_FACTS, fact_days))
        if days
    )


class Retention:
    """Looks every hour for items that are too old."""

    def __init__(self, store: Truth, compute: Compute, *, turn_days: int, fact_days: int) -> None:
        self._store = store
        self._compute = compute
        self._turn_days = turn_days
        self._fact_days = fact_days
        self._job = Periodic(
            self._look, every_s=_INTERVAL_S, on_failure="old items could not be erased"
        )

    def start(self) -> None:
        """Starts the job, if the settings limit any age."""
        if self._turn_days or self._fact_days:
            self._job.start()

    async def stop(self) -> None:
        """Stops the job."""
        await self._job.stop()

    async def _look(self) -> None:
        count = await self._compute.run(self._expire)
        get_logger().info("old items erased", items=count)

    def _expire(self) -> int:
        return expire(
            self._store,
            turn_days=self._turn_days,
            fact_days=self._fact_days,
            now_unix_ms=unix_ms(),
        )
