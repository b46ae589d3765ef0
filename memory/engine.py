"""The interface of a memory engine, as returned by an entry point of `anima.memory.engines`.

Requests are validated before they arrive here. Every method concerns one user and must never
access the items of another.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from memory.items.item import Item, Position, RecalledItem
from memory.knowledge.base import KnowledgeBase
from memory.search.selector import Judgement
from services.runtime.engine import Engine


@dataclass(frozen=True, kw_only=True, slots=True)
class Recollection:
    """The result of a query."""

    items: list[RecalledItem]
    skipped: bool
    """Whether the query needs no memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A page of a user's items, newest first."""

    items: list[Item]
    next_position: Position | None
    """The next page begins after this position; None on the last page."""
    total_count: int


class MemoryEngine(Engine, Protocol):
    """Stores, finds, returns and erases the items of users."""

    @property
    def knowledge(self) -> KnowledgeBase | None:
        """The knowledge base, once the engine is open; None if the engine has none."""
        ...

    async def remember(
        self, user_id: str, items: Sequence[Item], *, said_unix_ns: int | None = None
    ) -> None:
        """Stores items; returns once they are durable. Known `item_id`s have no effect.

        Args:
            user_id: The user whose items they are.
            items: The items.
            said_unix_ns: The time of the request, ns since 1970-01-01 UTC. Items erased since
                then, and all items if the user was erased since then, are left out. None means now.
        """
        ...

    async def restore(self, user_id: str, items: Sequence[Item]) -> int:
        """Stores the items of an export, with their facts unchanged; returns how many were new."""
        ...

    async def judge(self, query: str) -> Judgement:
        """Classifies what a query needs."""
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
        """Returns the items that match a query, best first.

        Args:
            user_id: The user whose items are searched.
            query: The text to search for.
            judgement: The result of `judge` for the query; None means that it is computed.
            max_items: The maximum number of items.
            min_score: Items with a lower score are left out.
            exclude_session_id: A session whose items are left out; empty means none.
            kinds: Only items of these kinds; empty means all.
            include_past: Whether facts that are no longer true are included.
        """
        ...

    async def list_items(
        self, user_id: str, *, after: Position | None, page_size: int, kinds: Sequence[int] = ()
    ) -> Page:
        """Lists items, of some kinds or all, newest first, starting after a position."""
        ...

    async def pin(self, user_id: str, item_ids: Sequence[str], *, pinned: bool) -> int:
        """Pins or unpins facts and summaries, which protects them from decay; returns how many."""
        ...

    async def correct(self, user_id: str, item_id: str, value: str) -> Item | None:
        """Ends a fact; returns its replacement, None if `value` is empty.

        Raises:
            NotFound: The user has no such fact.
        """
        ...

    async def forget_items(self, user_id: str, item_ids: Sequence[str]) -> int:
        """Erases items completely; returns how many existed."""
        ...

    async def forget_everything(self, user_id: str) -> int:
        """Erases all data of a user completely; returns the number of items."""
        ...

    def export(self, user_id: str) -> AsyncIterator[Item]:
        """Yields all data of a user, oldest first."""
        ...
