"""Items as rows of the database: how they are written and read; used inside a transaction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anima.memory.v1 import ITEM_KIND_TURN, SPEAKER_USER
from memory.connection import Connection
from memory.facts.candidate import key_of
from memory.item import Fact, Item

Vector = NDArray[np.float32]

_ITEM = "item_id, kind, speaker, text, session_id, turn_id, created_unix_ms, speaker_name"
_FACT = (
    "subject, attribute, value, valid_from_unix_ms, valid_to_unix_ms, confidence, superseded_by,"
    " pinned, extractor"
)
SELECT_ITEMS = (
    f"SELECT item.id, {_ITEM}, {_FACT}, (SELECT group_concat(item_id, ' ') FROM"  # noqa: S608
    " (SELECT source.item_id FROM fact_source JOIN item AS source"
    " ON source.id = fact_source.source WHERE fact_source.fact = item.id ORDER BY source.id) AS s)"
    " FROM item LEFT JOIN fact ON fact.item = item.id"
)
"""Begins a query whose rows `numbered_item` reads."""


def user_row(connection: Connection, user_id: str) -> int:
    """Gives the row of a user, made if it is missing."""
    connection.execute("INSERT INTO user (user_id) VALUES (?) ON CONFLICT DO NOTHING", (user_id,))
    (row,) = connection.execute("SELECT id FROM user WHERE user_id = ?", (user_id,)).fetchone()
    return int(row)


def insert_item(
    connection: Connection, user: int, item: Item, vector: Vector | None, model_id: str
) -> int | None:
    """Writes an item with its vector and what it says as a fact.

    Returns:
        Its row; None if the user has its `item_id` already, then nothing changes.
    """
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
    return row_id


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
    """Notes from which items a fact comes; items that are gone are left out."""
    connection.executemany(
        "INSERT INTO fact_source (fact, source)"
        " SELECT CAST(? AS BIGINT), id FROM item WHERE user = ? AND item_id = ?"
        " ON CONFLICT DO NOTHING",
        [(fact_row, user, item_id) for item_id in item_ids],
    )


def note_distillation(connection: Connection, row_id: int, item: Item, extractor: str) -> None:
    """Notes by which rules facts were read out of an item, if a person said it; empty: none."""
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
    """Says that the index of a user must be made anew."""
    connection.execute("UPDATE user SET revision = revision + 1 WHERE user_id = ?", (user_id,))


def of_kinds(kinds: Sequence[int]) -> str:
    """Gives the condition that an item is of one of some kinds; empty for all."""
    return f" AND kind IN ({', '.join(str(int(kind)) for kind in kinds)})" if kinds else ""


def numbered_item(row: Sequence[Any]) -> tuple[int, Item]:
    """Reads a row of `SELECT_ITEMS`: its row id and the item."""
    row_id, item_id, kind, speaker, text, session_id, turn_id, created, name = row[:9]
    return row_id, Item(
        item_id=item_id,
        kind=kind,
        speaker=speaker,
        text=text,
        session_id=session_id,
        turn_id=turn_id,
        created_unix_ms=created,
        speaker_name=name,
        fact=None if row[9] is None else _fact(row[9:]),
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
