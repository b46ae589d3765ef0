"""Old turns to condense, and their summaries, in the database."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from anima.memory.v1 import ITEM_KIND_SUMMARY, ITEM_KIND_TURN, SPEAKER_UNSPECIFIED, SPEAKER_USER
from memory.items.item import Item, Summary
from memory.reflection.condensed import Condensed
from memory.reflection.sentences import EXTRACTOR
from memory.service.attempts import SET_ASIDE, Attempts
from memory.sqlite import rows
from memory.sqlite.rows import Vector
from memory.store import Truth

DAY_MS = 86_400_000
LEAST_TURNS = 3
"""A session and day with fewer turns is short enough to be kept uncondensed."""
_MOST_TURNS = 60
_GROUPS = (
    f"SELECT item.user, session_id, created_unix_ms / {DAY_MS} FROM item"  # noqa: S608
    " LEFT JOIN summary_source ON summary_source.source = item.id"
    f" WHERE kind = {ITEM_KIND_TURN} AND created_unix_ms < ? AND summary_source.source IS NULL"
    f" AND NOT {SET_ASIDE} AND item.user IN (SELECT user FROM item WHERE kind = {ITEM_KIND_TURN}"
    " AND created_unix_ms < ? GROUP BY user HAVING count(*) > ?)"
    f" GROUP BY item.user, session_id, created_unix_ms / {DAY_MS}"
    f" HAVING count(*) >= {LEAST_TURNS} ORDER BY 1, 3, 2 LIMIT ?"
)
_TURNS = (
    f"{rows.SELECT_ITEMS} LEFT JOIN summary_source AS covered ON covered.source = item.id"
    f" WHERE item.user = ? AND session_id = ? AND kind = {ITEM_KIND_TURN}"
    " AND created_unix_ms >= ? AND created_unix_ms < ? AND covered.source IS NULL"
    f" AND NOT {SET_ASIDE}"
    " ORDER BY created_unix_ms, item.id LIMIT ?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Turns of one session and one day (UTC) that are in no summary yet."""

    user: int
    """The user's row."""
    session_id: str
    day: int
    """Days since 1970-01-01."""


class SummaryTables:
    """The summaries in the database of a store. As thread-safe as the store."""

    def __init__(self, store: Truth) -> None:
        self._store = store
        self.attempts = Attempts(store, "summaries", EXTRACTOR)

    def groups(self, *, before_unix_ms: int, more_than: int, limit: int) -> list[Group]:
        """Returns the groups to condense, of users who have more than a number of old turns.

        Args:
            before_unix_ms: Turns before this time are old.
            more_than: The number of old turns that a user keeps uncondensed.
            limit: The maximum number of groups.
        """
        with self._store.reading() as connection:
            found = connection.execute(
                _GROUPS,
                (before_unix_ms, *self.attempts.parameters, before_unix_ms, more_than, limit),
            ).fetchall()
        return [Group(user=user, session_id=session, day=day) for user, session, day in found]

    def turns(self, group: Group) -> dict[int, Item]:
        """Returns the first turns of a group by row, in order of time.

        A long group takes several calls. Turns that are set aside are left out.
        """
        start = group.day * DAY_MS
        with self._store.reading() as connection:
            found = connection.execute(
                _TURNS,
                (
                    group.user,
                    group.session_id,
                    start,
                    start + DAY_MS,
                    *self.attempts.parameters,
                    _MOST_TURNS,
                ),
            ).fetchall()
        return dict(map(rows.numbered_item, found))

    def put(
        self,
        group: Group,
        turns: Sequence[Item],
        condensed: Condensed,
        vector: Vector | None,
        model_id: str,
    ) -> bool:
        """Stores the summary of turns, unless one of them was erased or condensed since.

        Returns:
            Whether it was stored.
        """
        first, last = turns[0].created_unix_ms, turns[-1].created_unix_ms
        item = Item(
            item_id=f"summary-{uuid.uuid4().hex}",
            kind=ITEM_KIND_SUMMARY,
            speaker=SPEAKER_USER if condensed.in_words_of_the_person else SPEAKER_UNSPECIFIED,
            text=condensed.text,
            session_id=group.session_id,
            turn_id="",
            created_unix_ms=last,
            summary=Summary(
                source_item_ids=tuple(turn.item_id for turn in turns),
                from_unix_ms=first,
                to_unix_ms=last,
                extractor=condensed.extractor,
            ),
        )
        with self._store.transaction() as connection:
            return rows.insert_item(connection, group.user, item, vector, model_id) is not None

    def ended_values(self, row_ids: Sequence[int]) -> list[tuple[int, str]]:
        """Returns, by summary, the values of facts from its turns that are no longer true."""
        places = ", ".join("?" * len(row_ids))
        with self._store.reading() as connection:
            found = connection.execute(
                "SELECT summary, value_key FROM summary_source JOIN fact_source"  # noqa: S608
                " ON fact_source.source = summary_source.source"
                " JOIN fact ON fact.item = fact_source.fact"
                f" WHERE summary IN ({places}) AND fact.valid_to_unix_ms > 0",
                list(row_ids),
            )
            return [(row[0], row[1]) for row in found]
