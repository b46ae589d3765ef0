"""Decay: facts that are neither stated nor used for a long time end, in the background.

The strength of a fact is its confidence, raised by each use in a recall and halved with each
half-life since it was last stated or used. A fact that is too weak ends or is erased, unless it is
pinned. This differs from retention, which erases by age (`memory.items.retention`), and from
erasure at a person's request (`memory.erasure`).
"""

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from memory.erasure.chunks import erase_items
from memory.items.item import Item
from memory.service import metrics
from memory.service.background import Periodic
from memory.store import Truth
from services.runtime.observing.logs import get_logger
from services.runtime.process.clock import unix_ms
from services.runtime.process.compute import Compute

DecayMode = Literal["off", "end", "erase"]
"""How weak facts are treated: not at all; their validity ends; they are erased."""

LEAST_STRENGTH = 0.1
LASTING = frozenset({"name", "birthday", "birth_year", "birthplace", "origin", "allergy", "health"})
"""Attributes that seldom change and matter when they are needed; they fade more slowly."""
_LASTING_FACTOR = 8
_DAY_MS = 86_400_000
_MAX_NOTED = 10_000
_PART = 500
_FLUSH_INTERVAL_S = 60.0
_SWEEP_INTERVAL_MS = 3_600_000
_OLD = (
    "SELECT fact.item, attribute, confidence, coalesce(uses, 0), greatest(valid_from_unix_ms,"
    " coalesce(last_used_unix_ms, 0), coalesce((SELECT max(source.created_unix_ms) FROM fact_source"
    " JOIN item AS source ON source.id = fact_source.source"
    " WHERE fact_source.fact = fact.item), 0))"
    " FROM fact LEFT JOIN fact_use ON fact_use.fact = fact.item"
    " WHERE pinned = 0 AND valid_to_unix_ms = 0 AND fact.item > ? AND valid_from_unix_ms < ?"
    " ORDER BY fact.item LIMIT ?"
)
_NOTE = (
    "INSERT INTO fact_use (fact, uses, last_used_unix_ms)"
    " SELECT fact.item, CAST(? AS BIGINT), CAST(? AS BIGINT) FROM fact"
    " JOIN item ON item.id = fact.item JOIN user ON user.id = item.user"
    " WHERE user_id = ? AND item_id = ?"
    " ON CONFLICT (fact) DO UPDATE SET uses = fact_use.uses + excluded.uses,"
    " last_used_unix_ms = greatest(fact_use.last_used_unix_ms, excluded.last_used_unix_ms)"
)


def strength(
    *, confidence: float, uses: int, attribute: str, idle_days: float, half_life_days: float
) -> float:
    """Returns the strength of a fact.

    Args:
        confidence: Confidence of the fact, 0 to 1.
        uses: The number of recalls that returned it.
        attribute: Attribute of the fact.
        idle_days: Days since it was last stated or used.
        half_life_days: Days in which the strength halves; eight times as long for lasting ones.
    """
    half_life = half_life_days * (_LASTING_FACTOR if attribute in LASTING else 1)
    fading: float = 0.5 ** (max(idle_days, 0.0) / half_life)
    return confidence * (1 + math.log1p(uses)) * fading


@dataclass(slots=True)
class _Use:
    count: int
    last_unix_ms: int


class Uses:
    """Counts in memory which facts were returned, so that a recall writes nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[tuple[str, str], _Use] = {}

    def note(self, user_id: str, items: Iterable[Item], now_unix_ms: int) -> None:
        """Records the facts among some items; above a limit, only facts already recorded."""
        with self._lock:
            for item in items:
                key = (user_id, item.item_id)
                if item.fact is None or (key not in self._noted and len(self) >= _MAX_NOTED):
                    continue
                use = self._noted.setdefault(key, _Use(0, 0))
                use.count += 1
                use.last_unix_ms = max(use.last_unix_ms, now_unix_ms)

    def write(self, store: Truth) -> None:
        """Adds the recorded uses to the database; uses that cannot be written are lost."""
        with self._lock:
            noted, self._noted = self._noted, {}
        if noted:
            rows = [
                (use.count, use.last_unix_ms, user_id, item_id)
                for (user_id, item_id), use in noted.items()
            ]
            with store.transaction() as connection:
                connection.executemany(_NOTE, rows)

    def __len__(self) -> int:
        return len(self._noted)


def decay(store: Truth, *, how: DecayMode, half_life_days: int, now_unix_ms: int) -> int:
    """Ends or erases facts that are too weak, except those stated within the last half-life.

    Returns:
        The number of facts ended or erased.
    """
    weak = _weak(store, half_life_days, now_unix_ms)
    if not weak or how == "off":
        return 0
    if how == "erase":
        return erase_items(
            store, weak, "EXISTS (SELECT 1 FROM fact WHERE fact.item = item.id AND pinned = 0)"
        )
    with store.transaction() as connection:
        return connection.executemany(
            "UPDATE fact SET valid_to_unix_ms = ?"
            " WHERE item = ? AND pinned = 0 AND valid_to_unix_ms = 0",
            [(now_unix_ms, row) for row in weak],
        ).rowcount


def _weak(store: Truth, half_life_days: int, now_unix_ms: int) -> list[int]:
    weak: list[int] = []
    after, told_before = 0, now_unix_ms - half_life_days * _DAY_MS
    while True:
        with store.reading() as connection:
            found = connection.execute(_OLD, (after, told_before, _PART)).fetchall()
        for row, attribute, confidence, uses, last_unix_ms in found:
            after = row
            idle_days = (now_unix_ms - last_unix_ms) / _DAY_MS
            held = strength(
                confidence=confidence,
                uses=uses,
                attribute=attribute,
                idle_days=idle_days,
                half_life_days=half_life_days,
            )
            if idle_days >= half_life_days and held < LEAST_STRENGTH:
                weak.append(row)
        if len(found) < _PART:
            return weak


class Decay:
    """Writes the uses every minute, and ends facts that are too weak every hour."""

    def __init__(
        self,
        store: Truth,
        uses: Uses,
        *,
        writing: Compute,
        how: DecayMode,
        half_life_days: int,
        now_unix_ms: Callable[[], int] = unix_ms,
    ) -> None:
        self._store = store
        self._uses = uses
        self._writing = writing
        self._how = how
        self._half_life_days = half_life_days
        self._now_unix_ms = now_unix_ms
        self._swept_unix_ms: int | None = None
        self._job = Periodic(
            self._flush,
            every_s=_FLUSH_INTERVAL_S,
            on_failure="the decay of facts failed",
        )

    def start(self) -> None:
        """Starts the job, unless decay is switched off."""
        if self._how != "off":
            self._job.start()

    async def stop(self) -> None:
        """Stops the job and writes the recorded uses."""
        await self._job.stop()
        if self._how == "off":
            return
        try:
            await self._writing.run(self._uses.write, self._store)
        except Exception as error:
            get_logger().error("the uses of facts could not be written", exc_info=error)

    async def _flush(self) -> None:
        await self._writing.run(self.work)

    def work(self) -> None:
        """Writes the uses; ends facts that are too weak, if this was last done an hour ago."""
        self._uses.write(self._store)
        now = self._now_unix_ms()
        if self._swept_unix_ms is not None and now < self._swept_unix_ms + _SWEEP_INTERVAL_MS:
            return
        self._swept_unix_ms = now
        count = decay(
            self._store, how=self._how, half_life_days=self._half_life_days, now_unix_ms=now
        )
        metrics.FORGOTTEN_FACTS.inc(count)
        if count:
            get_logger().info("facts decayed", facts=count, how=self._how)
