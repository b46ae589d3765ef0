"""Records erasures for a while, so that requests already under way cannot bring items back.

A turn may wait in a queue of the gateway, or in a call that is retried, while the person has
everything erased. Only hashes are stored, and they are deleted after a month.
"""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from memory.sqlite.connection import Connection

_DAY_MS: Final = 86_400_000
MAX_AGE_MS: Final = 30 * _DAY_MS
"""A request that was delayed longer is rejected, because later erasures are no longer known."""
_KEPT_NS: Final = (MAX_AGE_MS + _DAY_MS) * 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Erased:
    """The erasures of a user since a time."""

    everything: bool
    item_keys: frozenset[str]

    def __contains__(self, item_id: str) -> bool:
        return self.everything or (bool(self.item_keys) and _key(item_id) in self.item_keys)


def since(connection: Connection, user_id: str, unix_ns: int) -> Erased:
    """Returns a user's erasures at or after a time, ns since 1970-01-01 UTC."""
    found = connection.execute(
        "SELECT item_key FROM erasure WHERE user_key = ? AND erased_unix_ns >= ?",
        (_key(user_id), unix_ns),
    )
    keys = frozenset(row[0] for row in found)
    return Erased(everything="" in keys, item_keys=keys)


def note_user(connection: Connection, user_id: str) -> None:
    """Records that all data of a user is erased now."""
    connection.execute("DELETE FROM erasure WHERE user_key = ?", (_key(user_id),))
    _note(connection, user_id, [""])


def note_items(connection: Connection, user_id: str, item_ids: Iterable[str]) -> None:
    """Records that items of a user are erased now."""
    _note(connection, user_id, map(_key, item_ids))


def drop_old(connection: Connection, now_unix_ns: int) -> None:
    """Deletes the records that no request can need any more."""
    connection.execute("DELETE FROM erasure WHERE erased_unix_ns < ?", (now_unix_ns - _KEPT_NS,))


def _note(connection: Connection, user_id: str, item_keys: Iterable[str]) -> None:
    now_unix_ns = time.time_ns()
    drop_old(connection, now_unix_ns)
    connection.executemany(
        "INSERT INTO erasure (user_key, item_key, erased_unix_ns) VALUES (?, ?, ?)",
        [(_key(user_id), item_key, now_unix_ns) for item_key in item_keys],
    )


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
