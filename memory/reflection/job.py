"""Condenses the old turns of people who have many, in the background, one group at a time.

The turns are kept: they are the source of truth, and a summary is one more way to find their topic.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from memory.items.item import Item
from memory.reflection.condensed import Condensed
from memory.reflection.llm_condenser import LlmCondenser
from memory.reflection.sentences import Vectors, by_sentences
from memory.reflection.tables import DAY_MS, Group, SummaryTables
from memory.search.encoder import Encoder
from memory.service import metrics
from memory.service.attempts import Run
from memory.service.background import Periodic
from services.runtime.observing.logs import get_logger
from services.runtime.process.clock import unix_ms
from services.runtime.process.compute import Compute

_FIRST_S = 60.0
"""Requests that arrive right after the start take priority."""
_INTERVAL_S = 3_600.0
_GROUPS = 50
# Texts per batch, small enough not to block others that share the CPU for long.
_BATCH = 8


class Reflection:
    """Looks for old turns every hour; interrupted work is done at the next run.

    It reads and embeds in its own thread, so that no recall waits for it.
    """

    def __init__(
        self,
        tables: SummaryTables,
        *,
        encoder: Encoder | None,
        writing: Compute,
        more_than_turns: int,
        older_than_days: int,
        llm_condenser: LlmCondenser | None = None,
        now_unix_ms: Callable[[], int] = unix_ms,
    ) -> None:
        """Creates a job that does nothing until `start`.

        Args:
            tables: The turns and summaries.
            encoder: Compares sentences; None means that their words are compared.
            writing: Runs database writes.
            more_than_turns: The number of old turns that a user keeps uncondensed; 0 means all.
            older_than_days: The age, in whole days (UTC), from which turns are old.
            llm_condenser: Condenses with a language model; None, or a failure, means by sentences.
            now_unix_ms: Returns the current time, ms since 1970-01-01 UTC.
        """
        self._tables = tables
        self._encoder = encoder
        self._writing = writing
        self._more_than = more_than_turns
        self._days = older_than_days
        self._llm = llm_condenser
        self._now_unix_ms = now_unix_ms
        self._reading = Compute(threads=1, name="memory-reflection")
        self._job = Periodic(
            self.reflect,
            every_s=_INTERVAL_S,
            first_s=_FIRST_S,
            on_failure="old turns could not be condensed",
        )

    def start(self) -> None:
        """Starts the job, unless the settings disable condensing."""
        if self._more_than:
            self._job.start()

    async def stop(self) -> None:
        """Stops; the current group is condensed completely or not at all."""
        await self._job.stop()
        if self._llm is not None:
            await self._llm.close()
        self._reading.close()

    async def reflect(self) -> int:
        """Condenses everything that is old enough; a group that fails does not block the others.

        Returns:
            The number of summaries created.
        """
        run = Run(self._tables.attempts, self._writing)
        count, failed, last = 0, set[Group](), (-1, 0)
        while last != (count, len(failed)):
            last = (count, len(failed))
            for group in await self._reading.run(self._groups, _GROUPS + len(failed)):
                if group in failed:
                    continue
                turns = await self._reading.run(self._tables.turns, group)
                try:
                    count += await self._condense(group, list(turns.values()))
                except Exception as error:
                    failed.add(group)
                    await run.failed(list(turns), error)
                else:
                    await run.succeeded()
        await run.end()
        if count:
            get_logger().info("old turns condensed", summaries=count)
        return count

    def _groups(self, limit: int) -> list[Group]:
        # A day that is only partly old waits until it is entirely old.
        before_unix_ms = (self._now_unix_ms() // DAY_MS - self._days) * DAY_MS
        return self._tables.groups(
            before_unix_ms=before_unix_ms, more_than=self._more_than, limit=limit
        )

    async def _condense(self, group: Group, turns: list[Item]) -> bool:
        if not turns:
            return False
        condensed = None if self._llm is None else await self._llm.condense(turns)
        if condensed is None:
            condensed = await self._reading.run(self._by_sentences, turns)
        vector, model_id = None, ""
        if self._encoder is not None:
            (vector,) = await self._reading.run(self._encoder.embed, [condensed.text])
            model_id = self._encoder.model_id
        stored = await self._writing.run(
            self._tables.put, group, turns, condensed, vector, model_id
        )
        metrics.SUMMARIES.inc(stored)
        return stored

    def _by_sentences(self, turns: list[Item]) -> Condensed:
        encoder = self._encoder
        return by_sentences(turns, None if encoder is None else partial(_embedded, encoder))


def _embedded(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    starts = range(0, len(texts), _BATCH)
    return np.concatenate([encoder.embed(texts[start : start + _BATCH]) for start in starts])
