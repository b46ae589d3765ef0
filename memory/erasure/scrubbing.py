"""Removes the remains of erased data from the files, in the background; see `Truth.scrub`."""

import time
from typing import Final

from memory.erasure import notes
from memory.erasure.chunks import erase_hidden_users, hidden_users
from memory.service import metrics
from memory.service.background import Periodic
from memory.store import Truth
from services.runtime.observing.logs import get_logger
from services.runtime.process.compute import Compute

_LOOK_S: Final = 5.0
_REST_FACTOR: Final = 9
"""The pause after a scrub, as a multiple of its duration, to limit writes of a large database."""
_REST_AFTER_FAILURE_S: Final = 60.0
_DROP_NOTES_S: Final = 3_600.0


class Scrubbing:
    """Checks every few seconds whether something was erased, and then scrubs the database."""

    def __init__(self, store: Truth) -> None:
        self._store = store
        self._compute = Compute(threads=1, name="memory-scrub")
        self._rest_until_s = 0.0
        self._drop_notes_at_s = 0.0
        self._is_first = True
        self._job = Periodic(
            self._look, every_s=_LOOK_S, on_failure="the database could not be scrubbed"
        )

    def start(self) -> None:
        """Starts the job, beginning with what an earlier service left."""
        self._job.start()

    async def stop(self) -> None:
        """Stops; an interrupted scrub is repeated by the next service."""
        await self._job.stop()
        self._compute.close()

    async def _look(self) -> None:
        await self._compute.run(self.work)

    def work(self) -> None:
        """Runs a scrub if one is due, and keeps the reserve; blocks."""
        try:
            self._scrub_if_due()
        finally:
            # After the scrub, which needs room for a copy.
            self._store.restore_reserve()

    def _scrub_if_due(self) -> None:
        now_s = time.monotonic()
        if self._is_first:
            erase_hidden_users(self._store)
            self._is_first = False
        if now_s >= self._drop_notes_at_s:
            self._drop_notes_at_s = now_s + _DROP_NOTES_S
            with self._store.upkeep() as connection:
                notes.drop_old(connection, time.time_ns())
        waiting = self._store.erasures_to_scrub()
        metrics.ERASURES_TO_SCRUB.set(waiting)
        # While an erasure is in progress, another scrub would be needed at its end.
        if not waiting or now_s < self._rest_until_s or hidden_users(self._store):
            return
        self._rest_until_s = now_s + _REST_AFTER_FAILURE_S
        self._store.scrub()
        took_s = time.monotonic() - now_s
        self._rest_until_s = now_s + took_s + _REST_FACTOR * took_s
        metrics.SCRUB_SECONDS.observe(took_s)
        metrics.ERASURES_TO_SCRUB.set(self._store.erasures_to_scrub())
        get_logger().info("the database was scrubbed", erasures=waiting, seconds=round(took_s, 3))
