"""Searches the memories of one user: indexes find the rows, the store has their content."""

from collections.abc import Container, Mapping, Sequence, Set
from dataclasses import dataclass

from anima.memory.v1 import ITEM_KIND_FACT, ITEM_KIND_SUMMARY, ITEM_KIND_TURN, SPEAKER_ASSISTANT
from memory.facts.ledger import FactLedger
from memory.facts.matching import stands_in
from memory.items.item import Item, RecalledItem
from memory.reflection.tables import SummaryTables
from memory.search.encoder import Encoder
from memory.search.index import Found, IndexCache
from memory.search.ranking import asks_for_answers
from memory.store import Truth

# Extra rows to request, because outdated facts are left out afterwards.
_SPARE = 15
# Turns that stated an outdated fact, and answers that repeat facts, rank below the facts.
_BEHIND = 0.4
# With fewer places a summary never displaces a turn or a fact.
_LEAST_FOR_SUMMARY = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """A search request."""

    user_id: str
    text: str
    max_items: int
    exclude_session_id: str
    kinds: Set[int]
    """Empty means all kinds."""
    include_past: bool

    def wants(self, kind: int) -> bool:
        """Returns whether the query includes items of a kind."""
        return not self.kinds or kind in self.kinds


class Search:
    """Finds items. Thread-safe."""

    def __init__(
        self,
        store: Truth,
        indexes: IndexCache,
        ledger: FactLedger,
        summaries: SummaryTables,
        encoder: Encoder | None,
        pending: Container[str] = (),
    ) -> None:
        """Takes what it searches with.

        Args:
            store: The database.
            indexes: The indexes of users.
            ledger: The facts.
            summaries: The summaries.
            encoder: Computes the vectors of questions; None: only words are searched.
            pending: The users of whom only words are searched for now.
        """
        self._encoder = encoder
        self._pending = pending
        self._store = store
        self._indexes = indexes
        self._ledger = ledger
        self._summaries = summaries

    def uses_vectors(self, user_id: str) -> bool:
        """Returns whether the items of a user are searched by vectors as well as by words."""
        return self._encoder is not None and user_id not in self._pending

    def search(self, query: Query) -> tuple[float, list[RecalledItem]]:
        """Returns the best item's own score, and the items, best first."""
        best, items = 0.0, list[RecalledItem]()
        if query.wants(ITEM_KIND_TURN) or query.wants(ITEM_KIND_FACT):
            best, items = self._said(query)
        if query.wants(ITEM_KIND_SUMMARY):
            best_summary, summaries = self._condensed(query)
            if query.kinds == {ITEM_KIND_SUMMARY}:
                return best_summary, summaries[: query.max_items]
            items = _with_summary(items, summaries, query.max_items)
        return best, items

    def _found(self, query: Query, facts: bool | None, *, summaries: bool = False) -> list[Found]:
        encoder = self._encoder if self.uses_vectors(query.user_id) else None
        embed = None if encoder is None else encoder.embed_query
        return self._indexes.search(
            query.user_id,
            query.text,
            None if embed is None else embed(query.text),
            k=query.max_items + _SPARE,
            exclude_session_id=query.exclude_session_id,
            facts=facts,
            summaries=summaries,
            embed=embed,
        )

    def _said(self, query: Query) -> tuple[float, list[RecalledItem]]:
        both = query.wants(ITEM_KIND_TURN) and query.wants(ITEM_KIND_FACT)
        found = self._found(query, None if both else query.wants(ITEM_KIND_FACT))
        row_ids = [row.row_id for row in found]
        # The text is read from the store, so an item that was just erased is never returned.
        items = self._store.items(row_ids)
        behind = set() if query.include_past else self._ledger.outdated_sources(row_ids)
        if not asks_for_answers(query.text):
            behind |= self._retold(query.user_id, items)
        recalled = [
            _recalled(items[row.row_id], row, _BEHIND if row.row_id in behind else 1)
            for row in found
            if row.row_id in items and (query.include_past or items[row.row_id].holds)
        ]
        recalled.sort(key=lambda one: -one.score)
        return _best_of(found), recalled[: query.max_items]

    def _retold(self, user_id: str, items: Mapping[int, Item]) -> set[int]:
        """Returns the rows of answers that only repeat current or former facts."""
        answers = {
            row_id: item.text for row_id, item in items.items() if item.speaker == SPEAKER_ASSISTANT
        }
        keys = self._ledger.value_keys(user_id) if answers else []
        return {
            row_id for row_id, text in answers.items() if any(stands_in(key, text) for key in keys)
        }

    def _condensed(self, query: Query) -> tuple[float, list[RecalledItem]]:
        found = self._found(query, None, summaries=True)
        if not found:
            return 0.0, []
        row_ids = [row.row_id for row in found]
        items = self._store.items(row_ids)
        ended = [] if query.include_past else self._summaries.ended_values(row_ids)
        outdated = {
            row_id
            for row_id, key in ended
            if row_id in items and stands_in(key, items[row_id].text)
        }
        return _best_of(found), [
            _recalled(items[row.row_id], row)
            for row in found
            if row.row_id in items and row.row_id not in outdated
        ]


def _best_of(found: Sequence[Found]) -> float:
    return max((row.own_score for row in found), default=0.0)


def _recalled(item: Item, row: Found, factor: float = 1) -> RecalledItem:
    return RecalledItem(
        item=item,
        score=row.score * factor,
        vector_score=row.vector_score,
        lexical_score=row.lexical_score,
    )


def _with_summary(
    items: list[RecalledItem], summaries: Sequence[RecalledItem], max_items: int
) -> list[RecalledItem]:
    """Adds the best summary of turns that were not found, if there is a place for it.

    It takes at most the last place, and only from an item with a lower score.
    """
    given = {one.item.item_id for one in items}
    for summary in summaries:
        condensed = summary.item.summary
        if condensed is None or not given.isdisjoint(condensed.source_item_ids):
            continue
        if len(items) >= max_items:
            if max_items < _LEAST_FOR_SUMMARY or items[-1].score >= summary.score:
                return items
            items = items[: max_items - 1]
        return sorted([*items, summary], key=lambda one: -one.score)
    return items
