"""Stores the facts of users, and ends, confirms and corrects them.

Nothing is overwritten: a fact that is no longer true keeps its text and gets an end of validity.
"""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from anima.memory.v1 import ITEM_KIND_FACT, ITEM_KIND_TURN, SPEAKER_ASSISTANT, SPEAKER_USER
from memory.facts.matching import stands_in
from memory.items.item import Fact, Item
from memory.service.attempts import SET_ASIDE, Attempts
from memory.sqlite import rows
from memory.sqlite.connection import Connection
from memory.sqlite.rows import Vector
from memory.store import Truth
from services.runtime.process.clock import unix_ms
from text.facts.candidate import (
    OPPOSITES,
    Candidate,
    Denial,
    Ending,
    Finding,
    Replacement,
    key_of,
)
from text.facts.extraction import EXTRACTOR

CORRECTION = "correction"
"""The extractor of facts set by the person."""
_CONFIRMED = 0.03
_CURRENT = (
    f"{rows.SELECT_ITEMS} WHERE item.user = ? AND fact.item IS NOT NULL"
    " AND fact.valid_to_unix_ms = 0"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Undistilled:
    """An item from which facts have not been extracted yet."""

    row_id: int
    user: int
    item: Item


class FactLedger:
    """The facts in the database of a store. As thread-safe as the store."""

    def __init__(self, store: Truth) -> None:
        self._store = store
        self.attempts = Attempts(store, "facts", EXTRACTOR)

    def undistilled(self, limit: int, after_row_id: int = 0) -> list[Undistilled]:
        """Returns items after a row that the current rules have not read yet, oldest first.

        Items that are set aside are left out.
        """
        with self._store.reading() as connection:
            found = connection.execute(
                "SELECT item.id, item.user FROM distillation JOIN item"  # noqa: S608
                " ON item.id = distillation.item WHERE extractor <> ? AND item.id > ?"
                f" AND NOT {SET_ASIDE} ORDER BY item.id LIMIT ?",
                (EXTRACTOR, after_row_id, *self.attempts.parameters, limit),
            ).fetchall()
        items = self._store.items([row_id for row_id, _ in found])
        return [
            Undistilled(row_id=row_id, user=user, item=items[row_id])
            for row_id, user in found
            if row_id in items
        ]

    def apply(
        self,
        source: Undistilled,
        findings: Sequence[Finding],
        vectors: Sequence[Vector | None],
        model_id: str,
    ) -> None:
        """Applies the findings of an item; doing so again changes nothing.

        Args:
            source: The item.
            findings: Its findings.
            vectors: The vector of each candidate's text; None for others, or without an encoder.
            model_id: The model that made the vectors.
        """
        with self._store.transaction() as connection:
            row = connection.execute(
                "SELECT extractor FROM distillation WHERE item = ?", (source.row_id,)
            ).fetchone()
            if row is None or row[0] == EXTRACTOR:  # erased or already read
                return
            change = _Change(connection, source.user, source.item)
            for finding, vector in zip(findings, vectors, strict=True):
                change.take(finding, vector, model_id)
            connection.execute(
                "UPDATE distillation SET extractor = ? WHERE item = ?", (EXTRACTOR, source.row_id)
            )

    def pin(self, user_id: str, item_ids: Sequence[str], *, pinned: bool) -> int:
        """Pins or unpins facts and summaries; returns how many of them exist."""
        given = [(pinned, user_id, item_id) for item_id in item_ids]
        with self._store.transaction() as connection:
            return sum(
                connection.executemany(
                    f"UPDATE {table} SET pinned = ? WHERE item = (SELECT item.id FROM item"  # noqa: S608
                    " JOIN user ON user.id = item.user WHERE user_id = ? AND item_id = ?)",
                    given,
                ).rowcount
                for table in ("fact", "summary")
            )

    def fact(self, user_id: str, item_id: str) -> Item | None:
        """Returns a fact of a user; None if there is none."""
        with self._store.reading() as connection:
            row = connection.execute(
                f"{rows.SELECT_ITEMS} JOIN user ON user.id = item.user"
                " WHERE user_id = ? AND item_id = ? AND fact.item IS NOT NULL",
                (user_id, item_id),
            ).fetchone()
        return None if row is None else rows.numbered_item(row)[1]

    def correct(
        self, user_id: str, wrong: Item, right: Item | None, vector: Vector | None, model_id: str
    ) -> None:
        """Ends a fact now and replaces it by another one, if given."""
        now_unix_ms = unix_ms()
        with self._store.transaction() as connection:
            user = rows.user_row(connection, user_id)
            _end(connection, user, [wrong], now_unix_ms, right.item_id if right else "")
            if right is not None:
                rows.insert_item(connection, user, right, vector, model_id)

    def value_keys(self, user_id: str) -> list[str]:
        """Returns the values of all facts of a user, including those that are no longer true."""
        with self._store.reading() as connection:
            # The kind allows an index to find the few facts among the many turns.
            found = connection.execute(
                "SELECT DISTINCT value_key FROM item JOIN fact ON fact.item = item.id"  # noqa: S608
                " WHERE item.user = (SELECT id FROM user WHERE user_id = ?)"
                f" AND item.kind = {ITEM_KIND_FACT}",
                (user_id,),
            )
            return [row[0] for row in found]

    def outdated_sources(self, row_ids: Sequence[int]) -> set[int]:
        """Returns those rows from which only facts come that are no longer true."""
        places = ", ".join("?" * len(row_ids))
        with self._store.reading() as connection:
            found = connection.execute(
                "SELECT source FROM fact_source JOIN fact ON fact.item = fact_source.fact"  # noqa: S608
                f" WHERE source IN ({places}) GROUP BY source"
                " HAVING min(fact.valid_to_unix_ms) > 0",
                list(row_ids),
            )
            return {row[0] for row in found}


def corrected(wrong: Item, value: str) -> Item:
    """Returns the replacement for a wrong fact; it is certain, because the person set it."""
    if wrong.fact is None:
        raise ValueError(f"{wrong.item_id} is not a fact")
    now_unix_ms = unix_ms()
    fact = replace(
        wrong.fact,
        value=value,
        source_item_ids=(),
        valid_from_unix_ms=now_unix_ms,
        valid_to_unix_ms=0,
        confidence=1.0,
        superseded_by="",
        extractor=CORRECTION,
    )
    return replace(
        wrong,
        item_id=f"fact-{uuid.uuid4().hex}",
        text=wrong.text.replace(wrong.fact.value, value),
        session_id="",
        turn_id="",
        created_unix_ms=now_unix_ms,
        fact=fact,
    )


class _Change:
    """The changes made by one item, within a transaction."""

    def __init__(self, connection: Connection, user: int, source: Item) -> None:
        self._connection = connection
        self._user = user
        self._source = source

    def take(self, finding: Finding, vector: Vector | None, model_id: str) -> None:
        if isinstance(finding, Candidate):
            self._take_candidate(finding, vector, model_id)
        elif isinstance(finding, Ending):
            self._end(
                fact
                for fact in self._of_then(self._current("user", finding.attribute))
                if not finding.value or _says(fact, finding.value)
            )
        elif isinstance(finding, Replacement):
            self._replace(finding, model_id)
        elif isinstance(finding, Denial):
            self._deny(finding, model_id)

    def _take_candidate(self, new: Candidate, vector: Vector | None, model_id: str) -> None:
        current = self._current(new.subject, new.attribute)
        same = [fact for fact in current if _says(fact, new.value)]
        if same:
            self._confirm(same[0])
            return
        if new.attribute in OPPOSITES:
            opposite = self._current(new.subject, OPPOSITES[new.attribute])
            self._end(fact for fact in opposite if _says(fact, new.value))
        item = self._item(new)
        if new.is_single_valued and current:
            said = self._source.created_unix_ms
            if any(fact.fact.valid_from_unix_ms > said for fact in current if fact.fact):
                # It was said before the current fact, but is read later.
                item = _ended(item, current[0])
            else:
                self._end(current, item.item_id)
        rows.insert_item(self._connection, self._user, item, vector, model_id)

    def _item(self, new: Candidate) -> Item:
        source = self._source
        identity = f"{source.item_id}\0{new.subject}\0{new.attribute}\0{new.value_key}"
        return Item(
            item_id=f"fact-{hashlib.sha256(identity.encode()).hexdigest()[:24]}",
            kind=ITEM_KIND_FACT,
            speaker=SPEAKER_USER,
            text=new.text,
            session_id=source.session_id,
            turn_id=source.turn_id,
            created_unix_ms=source.created_unix_ms,
            speaker_name=source.speaker_name,
            fact=Fact(
                subject=new.subject,
                attribute=new.attribute,
                value=new.value,
                source_item_ids=(source.item_id,),
                valid_from_unix_ms=source.created_unix_ms,
                valid_to_unix_ms=0,
                confidence=new.confidence,
                superseded_by="",
                pinned=False,
                extractor=new.extractor or EXTRACTOR,
            ),
        )

    def _current(self, subject: str, attribute: str) -> list[Item]:
        found = self._connection.execute(
            f"{_CURRENT} AND subject = ? AND attribute = ?", (self._user, subject, attribute)
        )
        return [rows.numbered_item(row)[1] for row in found]

    def _all_current(self) -> list[Item]:
        found = self._connection.execute(_CURRENT, (self._user,))
        return [rows.numbered_item(row)[1] for row in found]

    def _confirm(self, fact: Item) -> None:
        (row,) = self._connection.execute(
            "SELECT id FROM item WHERE user = ? AND item_id = ?", (self._user, fact.item_id)
        ).fetchone()
        self._connection.execute(
            "UPDATE fact SET confidence = least(1.0, confidence + ?) WHERE item = ?",
            (_CONFIRMED, row),
        )
        rows.add_sources(self._connection, self._user, row, [self._source.item_id])

    def _end(self, facts: Iterable[Item], superseded_by: str = "") -> None:
        _end(self._connection, self._user, facts, self._source.created_unix_ms, superseded_by)

    def _replace(self, finding: Replacement, model_id: str) -> None:
        for fact in self._of_then(self._all_current()):
            if _says(fact, finding.old):
                self._put_in_place(fact, finding.new, model_id)

    def _put_in_place(self, wrong: Item, value: str, model_id: str) -> None:
        if wrong.fact is None:
            return
        new = Candidate(
            subject=wrong.fact.subject,
            attribute=wrong.fact.attribute,
            value=value,
            text=wrong.text.replace(wrong.fact.value, value),
            confidence=wrong.fact.confidence,
        )
        item = self._item(new)
        self._end([wrong], item.item_id)
        # Without a vector: it is embedded together with the items of other encoders.
        rows.insert_item(self._connection, self._user, item, None, model_id)

    def _of_then(self, facts: Iterable[Item]) -> list[Item]:
        """Returns the facts that were true at the time of the source; later ones are not meant."""
        said = self._source.created_unix_ms
        return [fact for fact in facts if fact.fact and fact.fact.valid_from_unix_ms <= said]

    def _deny(self, denial: Denial, model_id: str) -> None:
        """Ends or replaces the fact stated by the last answer before the denial."""
        if not self._source.session_id:
            return
        answer = self._before(SPEAKER_ASSISTANT, "text")
        told = self._before(SPEAKER_USER, "item_id") if denial.also_told else ""
        meant = [
            fact
            for fact in self._of_then(self._all_current())
            if fact.fact
            and (
                stands_in(key_of(fact.fact.value), answer)
                or (told and told in fact.fact.source_item_ids)
            )
        ]
        if not denial.right:
            self._end(meant)
        elif len(meant) == 1:  # with several it is unknown which one is meant
            self._put_in_place(meant[0], denial.right, model_id)

    def _before(self, speaker: int, column: Literal["text", "item_id"]) -> str:
        """Returns a speaker's last item in the session before the source; empty if none."""
        row = self._connection.execute(
            f"SELECT {column} FROM item WHERE user = ? AND session_id = ? AND speaker = ?"  # noqa: S608
            f" AND kind = {ITEM_KIND_TURN} AND created_unix_ms <= ? AND item_id <> ?"
            " ORDER BY created_unix_ms DESC, id DESC LIMIT 1",
            (
                self._user,
                self._source.session_id,
                speaker,
                self._source.created_unix_ms,
                self._source.item_id,
            ),
        ).fetchone()
        return "" if row is None else str(row[0])


def _end(
    connection: Connection,
    user: int,
    facts: Iterable[Item],
    at_unix_ms: int,
    superseded_by: str,
) -> None:
    connection.executemany(
        "UPDATE fact SET valid_to_unix_ms = greatest(?, valid_from_unix_ms, 1), superseded_by = ?"
        " WHERE item = (SELECT id FROM item WHERE user = ? AND item_id = ?)",
        [(at_unix_ms, superseded_by, user, fact.item_id) for fact in facts],
    )


def _says(item: Item, value: str) -> bool:
    return item.fact is not None and key_of(item.fact.value) == key_of(value)


def _ended(item: Item, later: Item) -> Item:
    if item.fact is None or later.fact is None:
        return item
    until = later.fact.valid_from_unix_ms
    fact = replace(item.fact, valid_to_unix_ms=until, superseded_by=later.item_id)
    return replace(item, fact=fact)
