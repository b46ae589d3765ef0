"""Items as rows of the database: writing and reading them, within a transaction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anima.memory.v1 import ITEM_KIND_TURN, SPEAKER_USER
from memory.items.item import Fact, Item, Summary
from memory.sqlite.connection import Connection
from text.facts.candidate import key_of

Vector = NDArray[np.float32]

_ITEM = "item_id, kind, speaker, text, session_id, turn_id, created_unix_ms, speaker_name"
_FACT = (
    "subject, attribute, value, valid_from_unix_ms, valid_to_unix_ms, confidence, superseded_by,"
    " pinned, extractor"
)
_SUMMARY = "from_unix_ms, to_unix_ms, pinned, extractor"
SELECT_ITEMS = (
    f"SELECT item.id, {_ITEM},"  # noqa: S608
    f" {', '.join(f'fact.{column}' for column in _FACT.split(', '))},"
    " (SELECT group_concat(item_id, ' ') FROM"
    " (SELECT source.item_id FROM fact_source JOIN item AS source"
    " ON source.id = fact_source.source WHERE fact_source.fact = item.id ORDER BY source.id) AS s),"
    f" {', '.join(f'summary.{column}' for column in _SUMMARY.split(', '))},"
    " (SELECT group_concat(item_id, ' ') FROM"
    " (SELECT source.item_id FROM summary_source JOIN item AS source"
    " ON source.id = summary_source.source WHERE summary_source.summary = item.id"
    " ORDER BY source.id) AS s)"
    " FROM item LEFT JOIN fact ON fact.item = item.id"
    " LEFT JOIN summary ON summary.item = item.id"
)
"""The start of a query whose rows `numbered_item` reads."""
_FACT_AT, _SUMMARY_AT = 9, 19


def user_row(connection: Connection, user_id: str) -> int:
    """Returns the row of a user, which is created if it is missing."""
    connection.execute("INSERT INTO user (user_id) VALUES (?) ON CONFLICT DO NOTHING", (user_id,))
    (row,) = connection.execute("SELECT id FROM user WHERE user_id = ?", (user_id,)).fetchone()
    return int(row)


def held_item_ids(connection: Connection, user_id: str, item_ids: Sequence[str]) -> set[str]:
    """Returns those of the ids that the user already has."""
    places = ", ".join("?" * len(item_ids))
    found = connection.execute(
        f"SELECT item_id FROM item WHERE item_id IN ({places})"  # noqa: S608
        " AND user = (SELECT id FROM user WHERE user_id = ?)",
        (*item_ids, user_id),
    )
    return {row[0] for row in found}


def insert_item(
    connection: Connection, user: int, item: Item, vector: Vector | None, model_id: str
) -> int | None:
    """Writes an item with its vector, its fact and its summary.

    Returns:
        Its row; None if the user already has its `item_id`, or if it is a summary of which a source
        is missing or already in another one; then nothing changes.
    """
    sources = _free_sources(connection, user, item.summary)
    if sources is None:
        return None
    row = connection.execute(
        f"INSERT INTO item (user, {_ITEM}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        " ON CONFLICT (user, item_id) DO NOTHING RETURNING id",
        (
            user,
            item.item_id,
            item.kind,
            item.speaker,
            item.text,
            item.session_id,
            item.turn_id,
            item.created_unix_ms,
            item.speaker_name,
        ),
    ).fetchone()
    if row is None:
        return None
    row_id = int(row[0])
    if vector is not None:
        put_vector(connection, row_id, vector, model_id)
    if item.fact is not None:
        _insert_fact(connection, user, row_id, item.fact)
    if item.summary is not None:
        _insert_summary(connection, row_id, item.summary, sources)
    return row_id


def _free_sources(connection: Connection, user: int, summary: Summary | None) -> list[int] | None:
    """Returns the rows of a summary's sources; None if one is missing or in another summary."""
    if summary is None:
        return []
    item_ids = sorted(set(summary.source_item_ids))
    found = connection.execute(
        "SELECT item.id FROM item LEFT JOIN summary_source ON summary_source.source = item.id"  # noqa: S608
        f" WHERE item.user = ? AND item_id IN ({', '.join('?' * len(item_ids))})"
        f" AND kind = {ITEM_KIND_TURN} AND summary_source.source IS NULL",
        (user, *item_ids),
    ).fetchall()
    return [int(row) for (row,) in found] if item_ids and len(found) == len(item_ids) else None


def _insert_summary(
    connection: Connection, row_id: int, summary: Summary, sources: Sequence[int]
) -> None:
    connection.execute(
        f"INSERT INTO summary (item, {_SUMMARY}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608
        (row_id, summary.from_unix_ms, summary.to_unix_ms, summary.pinned, summary.extractor),
    )
    connection.executemany(
        "INSERT INTO summary_source (source, summary) VALUES (?, ?)",
        [(source, row_id) for source in sources],
    )


def _insert_fact(connection: Connection, user: int, row_id: int, fact: Fact) -> None:
    connection.execute(
        f"INSERT INTO fact (item, value_key, {_FACT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            row_id,
            key_of(fact.value),
            fact.subject,
            fact.attribute,
            fact.value,
            fact.valid_from_unix_ms,
            fact.valid_to_unix_ms,
            fact.confidence,
            fact.superseded_by,
            fact.pinned,
            fact.extractor,
        ),
    )
    add_sources(connection, user, row_id, fact.source_item_ids)


def add_sources(connection: Connection, user: int, fact_row: int, item_ids: Sequence[str]) -> None:
    """Records the source items of a fact; items that no longer exist are left out."""
    connection.executemany(
        "INSERT INTO fact_source (fact, source)"
        " SELECT CAST(? AS BIGINT), id FROM item WHERE user = ? AND item_id = ?"
        " ON CONFLICT DO NOTHING",
        [(fact_row, user, item_id) for item_id in item_ids],
    )


def note_distillation(connection: Connection, row_id: int, item: Item, extractor: str) -> None:
    """Records by which rules facts were extracted from a person's item; empty means none."""
    if item.kind == ITEM_KIND_TURN and item.speaker == SPEAKER_USER:
        connection.execute(
            "INSERT INTO distillation (item, extractor) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (row_id, extractor),
        )


def put_vector(connection: Connection, row_id: int, vector: Vector, model_id: str) -> None:
    """Sets the vector of an item."""
    connection.execute(
        "INSERT INTO vec (item, model_id, dimensions, vector) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (item) DO UPDATE SET model_id = excluded.model_id,"
        " dimensions = excluded.dimensions, vector = excluded.vector",
        (row_id, model_id, len(vector), vector.astype("<f4").tobytes()),
    )


def raise_revision(connection: Connection, user_id: str) -> None:
    """Marks the index of a user as outdated."""
    connection.execute("UPDATE user SET revision = revision + 1 WHERE user_id = ?", (user_id,))


def of_kinds(kinds: Sequence[int]) -> str:
    """Returns the SQL condition for items of some kinds; empty for all."""
    return f" AND kind IN ({', '.join(str(int(kind)) for kind in kinds)})" if kinds else ""


def numbered_item(row: Sequence[Any]) -> tuple[int, Item]:
    """Reads a row of `SELECT_ITEMS`: its row id and the item."""
    row_id, item_id, kind, speaker, text, session_id, turn_id, created, name = row[:_FACT_AT]
    return row_id, Item(
        item_id=item_id,
        kind=kind,
        speaker=speaker,
        text=text,
        session_id=session_id,
        turn_id=turn_id,
        created_unix_ms=created,
        speaker_name=name,
        fact=None if row[_FACT_AT] is None else _fact(row[_FACT_AT:_SUMMARY_AT]),
        summary=None if row[_SUMMARY_AT] is None else _summary(row[_SUMMARY_AT:]),
    )


def _summary(row: Sequence[Any]) -> Summary:
    since, until, pinned, extractor, sources = row
    return Summary(
        source_item_ids=tuple((sources or "").split()),
        from_unix_ms=since,
        to_unix_ms=until,
        extractor=extractor,
        pinned=bool(pinned),
    )


def _fact(row: Sequence[Any]) -> Fact:
    subject, attribute, value, since, until, confidence, superseded_by, pinned, extractor = row[:9]
    return Fact(
        subject=subject,
        attribute=attribute,
        value=value,
        source_item_ids=tuple((row[9] or "").split()),
        valid_from_unix_ms=since,
        valid_to_unix_ms=until,
        confidence=confidence,
        superseded_by=superseded_by,
        pinned=bool(pinned),
        extractor=extractor,
    )
