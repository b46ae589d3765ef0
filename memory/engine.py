"""The interface of a memory engine: what an entry point of `anima.memory.engines` gives.

Requests are checked before they come here. Every method is about one user and must never see the
items of another.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from memory.item import Item, Position, RecalledItem
from memory.knowledge.base import KnowledgeBase
from memory.search.selector import Judgement
from services.runtime.engine import Engine


@dataclass(frozen=True, kw_only=True, slots=True)
class Recollection:
    """What a query brought back."""

    items: list[RecalledItem]
    skipped: bool
    """The query needs no memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A part of a user's items, newest first."""

    items: list[Item]
    next_position: Position | None
    """Where the next page begins, after this position; None: there is none."""
    total_count: int


class MemoryEngine(Engine, Protocol):
    """Keeps, finds, gives out and erases the items of users."""

    @property
    def knowledge(self) -> KnowledgeBase | None:
        """The documents, once the engine is open; None: the engine keeps none."""
        ...

    async def remember(
        self, user_id: str, items: Sequence[Item], *, asked_unix_ns: int | None = None
    ) -> None:
        """Stores items; returns once they are durable. Known `item_id`s change nothing.

        Args:
            user_id: Whose memory.
            items: The items.
            asked_unix_ns: When they were to be stored, ns since 1970-01-01 UTC: items that were
                erased since then, or whose user was, are left out. None: now.
        """
        ...

    async def restore(self, user_id: str, items: Sequence[Item]) -> int:
        """Stores items of an export, facts as they were; returns how many were new."""
        ...

    async def judge(self, query: str) -> Judgement:
        """Judges what a query needs."""
        ...

    async def recall(
        self,
        user_id: str,
        query: str,
        *,
        judgement: Judgement | None = None,
        max_items: int,
        min_score: float,
        exclude_session_id: str,
        kinds: Sequence[int] = (),
        include_past: bool = False,
    ) -> Recollection:
        """Finds what fits a query, best first.

        Args:
            user_id: Whose memory.
            query: What to look for.
            judgement: What `judge` said of the query; None: it is asked.
            max_items: The most items.
            min_score: Items with a lower score are left out.
            exclude_session_id: Items of this session are left out; empty: none.
            kinds: Only items of these kinds; empty: all.
            include_past: Also facts that no longer hold.
        """
        ...

    async def list_items(
        self, user_id: str, *, after: Position | None, page_size: int, kinds: Sequence[int] = ()
    ) -> Page:
        """Lists items, of some kinds or all, newest first, from behind a position."""
        ...

    async def pin(self, user_id: str, item_ids: Sequence[str], *, pinned: bool) -> int:
        """Keeps facts and summaries from being forgotten by time, or not; returns how many."""
        ...

    async def correct(self, user_id: str, item_id: str, value: str) -> Item | None:
        """Ends a fact; returns the one that takes its place, None if `value` is empty.

        Raises:
            NotFound: The user has no such fact.
        """
        ...

    async def forget_items(self, user_id: str, item_ids: Sequence[str]) -> int:
        """Erases items without a trace; returns how many there were."""
        ...

    async def forget_everything(self, user_id: str) -> int:
        """Erases all that is held about a user without a trace; returns how many items it was."""
        ...

    def export(self, user_id: str) -> AsyncIterator[Item]:
        """Gives everything that is held about a user, oldest first."""
        ...
