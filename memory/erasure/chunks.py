"""Erases many rows in small transactions, between which others write."""

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

from memory.erasure import notes
from memory.store import Truth

_CHUNK_ROWS: Final = 500
_FOUND_ROWS: Final = 10_000
_BREATH_S: Final = 0.002
"""A pause after each transaction, in which whoever waits to write comes first."""
# Longer than the name of any user, so that none is mistaken for it.
_HIDDEN: Final = "~" * 160
_HIDDEN_USERS: Final = "SELECT id FROM user WHERE user_id > ? AND user_id < ?"
_HIDDEN_RANGE: Final = (_HIDDEN, _HIDDEN[:-1] + chr(ord("~") + 1))


def erase_user(store: Truth, user_id: str) -> int:
    """Erases a user with everything that is held about them; they vanish from all calls at once.

    Returns:
        How many items the user had.
    """
    with store.transaction() as connection:
        notes.note_user(connection, user_id)
        row = connection.execute("SELECT id FROM user WHERE user_id = ?", (user_id,)).fetchone()
        if row is None:
            return 0
        (user,) = row
        (count,) = connection.execute(
            "SELECT count(*) FROM item WHERE user = ?", (user,)
        ).fetchone()
        connection.execute(
            "UPDATE user SET user_id = ? WHERE id = ?", (_HIDDEN + uuid.uuid4().hex, user)
        )
    _erase_hidden(store, user)
    return int(count)


def hidden_users(store: Truth) -> list[int]:
    """Returns the rows of users whose erasure has begun and not ended."""
    with store.reading() as connection:
        return [row[0] for row in connection.execute(_HIDDEN_USERS, _HIDDEN_RANGE)]


def erase_hidden_users(store: Truth) -> None:
    """Ends the erasures that a crash has cut off."""
    for user in hidden_users(store):
        _erase_hidden(store, user)


def erase_items(store: Truth, row_ids: Sequence[int], condition: str, parameters: Any = ()) -> int:
    """Erases items for which a condition still holds, with what goes with them.

    Args:
        store: Where they are.
        row_ids: Their rows.
        condition: SQL about the table `item`.
        parameters: Those of the condition.

    Returns:
        How many of the rows were erased.
    """
    count = 0
    for start in range(0, len(row_ids), _CHUNK_ROWS):
        some = row_ids[start : start + _CHUNK_ROWS]
        where = f"id IN ({', '.join('?' * len(some))}) AND {condition}"
        with store.erasing() as connection:
            values = (*some, *parameters)
            # Not those that the statement deletes: an item may go before with another one of them.
            (held,) = connection.execute(
                f"SELECT count(*) FROM item WHERE {where}",  # noqa: S608
                values,
            ).fetchone()
            connection.execute(
                "UPDATE user SET revision = revision + 1"  # noqa: S608
                f" WHERE id IN (SELECT user FROM item WHERE {where})",
                values,
            )
            connection.execute(f"DELETE FROM item WHERE {where}", values)  # noqa: S608
            count += held
        _breathe()
    return count


def erase_where(store: Truth, condition: str, parameters: Any = ()) -> int:
    """Erases all items for which a condition holds; returns how many, as `erase_items`."""
    return sum(
        erase_items(store, row_ids, condition, parameters)
        for row_ids in _found(store, condition, parameters)
    )


def _found(store: Truth, condition: str, parameters: Any) -> Iterator[list[int]]:
    after = 0
    while True:
        with store.reading() as connection:
            row_ids = [
                row[0]
                for row in connection.execute(
                    f"SELECT id FROM item WHERE id > ? AND {condition} ORDER BY id LIMIT ?",  # noqa: S608
                    (after, *parameters, _FOUND_ROWS),
                )
            ]
        if not row_ids:
            return
        yield row_ids
        after = row_ids[-1]


def _erase_hidden(store: Truth, user: int) -> None:
    while True:
        with store.erasing() as connection:
            count = sum(
                connection.execute(
                    f"DELETE FROM {table} WHERE id IN ({rows} LIMIT ?)",  # noqa: S608
                    (user, _CHUNK_ROWS),
                ).rowcount
                for table, rows in (
                    ("item", "SELECT id FROM item WHERE user = ? ORDER BY id"),
                    (
                        "passage",
                        "SELECT passage.id FROM passage JOIN library"
                        " ON library.id = passage.library WHERE library.user = ?",
                    ),
                )
            )
            if not count:
                connection.execute("DELETE FROM user WHERE id = ?", (user,))
                return
        _breathe()


def _breathe() -> None:
    time.sleep(_BREATH_S)
