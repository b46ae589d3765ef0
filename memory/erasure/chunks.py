"""Erases many rows in small transactions, between which other writers proceed."""

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

from memory.erasure import notes
from memory.store import Truth

_FOUND_ROWS: Final = 10_000
_BREATH_S: Final = 0.002
"""A pause after each transaction, so that waiting writers go first."""
# Longer than any user name, so that none can be equal to it.
_HIDDEN: Final = "~" * 160
_HIDDEN_USERS: Final = "SELECT id FROM user WHERE user_id > ? AND user_id < ?"
_HIDDEN_RANGE: Final = (_HIDDEN, _HIDDEN[:-1] + chr(ord("~") + 1))


def erase_user(store: Truth, user_id: str) -> int:
    """Erases a user and all their data; the user disappears from all calls at once.

    Returns:
        The number of the user's items.
    """
    store.prepare_erasing()
    with store.upkeep() as connection:
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
    """Returns the rows of users whose erasure has started but not finished."""
    with store.reading() as connection:
        return [row[0] for row in connection.execute(_HIDDEN_USERS, _HIDDEN_RANGE)]


def erase_hidden_users(store: Truth) -> None:
    """Completes the erasures that a crash interrupted."""
    for user in hidden_users(store):
        _erase_hidden(store, user)


def erase_items(store: Truth, row_ids: Sequence[int], condition: str, parameters: Any = ()) -> int:
    """Erases the items that still meet a condition, together with their dependent rows.

    Args:
        store: The store that contains them.
        row_ids: Their rows.
        condition: SQL about the table `item`.
        parameters: The parameters of the condition.

    Returns:
        The number of rows erased.
    """
    count, step = 0, store.erased_rows
    for start in range(0, len(row_ids), step):
        some = row_ids[start : start + step]
        where = f"id IN ({', '.join('?' * len(some))}) AND {condition}"
        with store.erasing() as connection:
            values = (*some, *parameters)
            # Counted first: the statement may delete an item as a dependent of another one.
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
    """Erases all items that meet a condition; returns how many, see `erase_items`."""
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
                    (user, store.erased_rows),
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
