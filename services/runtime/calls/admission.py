"""Admission control: a service accepts only as many streams as it can serve well.

No caller may hold more than its share, and a place that is held without need goes to one who comes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from services.runtime.errors import Busy, DeadlineExceeded

RETRY_AFTER_MS = 1000
PLACE_NEEDED: Final = "PLACE_NEEDED"
"""The reason of the error of who has lost its place to another caller."""
FULL: Final = frozenset({"CAPACITY", "CALLER_CAPACITY"})
"""The reasons of the errors of who finds no place."""


class Holder(Protocol):
    """Who holds a place."""

    @property
    def overdue_s(self) -> float:
        """For how long the place has been held without need, s; 0: it is needed."""
        ...

    def end(self, error: Exception) -> None:
        """Ends the work with an error, soon."""
        ...


@dataclass(eq=False)
class Place:
    """A place that is held.

    Attributes:
        caller: The key of the caller whose share it is part of; None: nobody's.
        holder: Who can be asked to leave; None: nobody.
        given_away: Whether somebody else has it now.
    """

    caller: str | None
    holder: Holder | None = None
    given_away: bool = False


class Admission:
    """Counts streams against the capacity. Used only on the event loop, so it needs no lock.

    Attributes:
        capacity: The maximum number of concurrent streams.
        per_caller: How many of them one caller may have.
        of: What the places are for, in the text of a refusal.
        active: The number of streams being served.
        idle: Set while no stream is being served.
    """

    def __init__(self, capacity: int, *, per_caller: int = 0, of: str = "") -> None:
        """`per_caller` 0: half of the capacity, rounded up."""
        self.capacity = capacity
        self.per_caller = per_caller or -(-capacity // 2)
        self.of = of
        self.active = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self._held: set[Place] = set()
        self._of_caller: Counter[str] = Counter()

    @contextmanager
    def place(self, *, caller: str | None = None) -> Iterator[Place]:
        """Occupies a place for the body.

        Args:
            caller: Whose share the place is part of; None: a caller that may have all.

        Yields:
            The place; its `holder` may be set.

        Raises:
            Busy: All places are taken, or the caller has its share.
        """
        if caller is not None and self._of_caller[caller] >= self.per_caller:
            self._take_back(caller)
        if self.active >= self.capacity:
            self._take_back(None)
        self._check(caller)
        place = Place(caller)
        self._held.add(place)
        self.active += 1
        if caller is not None:
            self._of_caller[caller] += 1
        self.idle.clear()
        try:
            yield place
        finally:
            self._release(place)
            if not self.active:
                self.idle.set()

    def _check(self, caller: str | None) -> None:
        of = f" for {self.of}" if self.of else ""
        if self.active >= self.capacity:
            raise Busy(
                f"all {self.capacity} places{of} are taken; try again",
                retry_after_ms=RETRY_AFTER_MS,
                reason="CAPACITY",
                metadata={"capacity": str(self.capacity)},
            )
        if caller is not None and self._of_caller[caller] >= self.per_caller:
            raise Busy(
                f"{self.per_caller} places{of} are taken by you alone; end one and try again",
                retry_after_ms=RETRY_AFTER_MS,
                reason="CALLER_CAPACITY",
                metadata={"capacity": str(self.per_caller)},
            )

    def _take_back(self, caller: str | None) -> None:
        """Takes back the place that has been held longest without need, if there is one."""
        overdue = [
            (place.holder.overdue_s, place)
            for place in self._held
            if place.holder is not None and (caller is None or place.caller == caller)
        ]
        longest_s, place = max(overdue, key=lambda each: each[0], default=(0.0, None))
        if place is None or place.holder is None or longest_s <= 0:
            return
        self._release(place)
        place.given_away = True
        place.holder.end(
            DeadlineExceeded(
                "nothing was sent for a while, and another caller needs the place; open another"
                " stream when there is something to send",
                reason=PLACE_NEEDED,
            )
        )

    def _release(self, place: Place) -> None:
        if place not in self._held:
            return
        self._held.remove(place)
        self.active -= 1
        if place.caller is not None:
            self._of_caller[place.caller] -= 1
            if not self._of_caller[place.caller]:
                del self._of_caller[place.caller]
