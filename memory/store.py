"""The operations common to every store, in SQL that both SQLite and PostgreSQL accept."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anima.memory.v1 import ITEM_KIND_FACT, ITEM_KIND_SUMMARY, SPEAKER_ASSISTANT
from memory.erasure import notes
from memory.items.item import Item, Position
from memory.sqlite import rows
from memory.sqlite.connection import Connection

Vector = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class UserState:
    """The state that an index of the user must match."""

    row_id: int
    """The user's row; a user who was erased and returned has another one."""
    revision: int
    """Increases with every change other than an appended item."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexRow:
    """The data of an item that an index needs."""

    row_id: int
    text: str
    session_id: str
    vector: Vector | None
    speaker_name: str = ""
    by_assistant: bool = False
    is_fact: bool = False
    is_summary: bool = False
    created_unix_ms: int = 0


class Truth(ABC):
    """Items, facts and vectors of all users in one database. Thread-safe."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Connection]:
        """Returns a writing connection; commits at the end, rolls back on an exception.

        Transactions are serialised, including those of other processes. So the rows of a user are
        committed in the order of their ids, from which an index knows which rows it lacks.
        """

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """Returns a read-only connection; it must be used only briefly."""

    def upkeep(self) -> AbstractContextManager[Connection]:
        """Like `transaction`, for work that must be possible on a full disk too."""
        return self.transaction()

    @property
    def erased_rows(self) -> int:
        """How many rows one transaction may erase; fewer if there is little room on the disk."""
        return 500

    def prepare_erasing(self) -> None:  # noqa: B027 - most stores have nothing to prepare
        """Makes room for erasing if the disk is full."""

    def restore_reserve(self) -> None:  # noqa: B027
        """Keeps space for erasing again, once there is room."""

    def check_files(self) -> None:  # noqa: B027
        """Checks that the database still is the one that was opened.

        Raises:
            StoreError: It was deleted or replaced; the text states what to do.
        """

    @contextmanager
    def erasing(self) -> Iterator[Connection]:
        """Like `transaction`, for erasing rows: `scrub` later removes them from the files."""
        with self.upkeep() as connection:
            yield connection
            connection.execute("UPDATE scrub SET wanted = wanted + 1")

    def erasures_to_scrub(self) -> int:
        """Returns how many transactions have erased something since the last scrub began."""
        with self.reading() as connection:
            (count,) = connection.execute("SELECT wanted - done FROM scrub").fetchone()
        return int(count)

    def scrub(self) -> None:
        """Removes data erased before the call from the files. Takes long; does not block writers.

        Raises:
            StoreError: It cannot be done now; the text states why.
            sqlite3.Error: The disk fails, or is too full for a copy.
        """
        with self.reading() as connection:
            (wanted,) = connection.execute("SELECT wanted FROM scrub").fetchone()
        self._scrub_files()
        with self.upkeep() as connection:
            connection.execute("UPDATE scrub SET done = greatest(done, ?)", (wanted,))

    @abstractmethod
    def _scrub_files(self) -> None:
        """Removes rows that are already erased from the files, as described at `scrub`."""

    @abstractmethod
    def close(self) -> None:
        """Closes the database after the current write; later calls fail."""

    @property
    @abstractmethod
    def place(self) -> str:
        """The location of the database, for people; without secrets."""

    # Writing

    def add(
        self,
        user_id: str,
        items: Sequence[Item],
        vectors: Sequence[Vector | None],
        model_id: str,
        *,
        distilled_by: str = "",
        said_unix_ns: int | None = None,
    ) -> int:
        """Stores items in one transaction and returns after the commit.

        An item whose `item_id` the user already has is ignored.

        Args:
            user_id: The user whose items they are.
            items: The items.
            vectors: One for each item, None where there is none.
            model_id: The model that made the vectors.
            distilled_by: The rules that have extracted facts from them; empty means none.
            said_unix_ns: The time of the request, ns since 1970-01-01 UTC: items erased since then
                are left out. None means that none are.

        Returns:
            The number of new items.
        """
        count = 0
        with self.transaction() as connection:
            erased = None
            if said_unix_ns is not None:
                erased = notes.since(connection, user_id, said_unix_ns)
            new = [
                (item, vector)
                for item, vector in zip(items, vectors, strict=True)
                if erased is None or item.item_id not in erased
            ]
            if not new:
                return 0
            user = rows.user_row(connection, user_id)
            for item, vector in new:
                row_id = rows.insert_item(connection, user, item, vector, model_id)
                if row_id is not None:
                    count += 1
                    rows.note_distillation(connection, row_id, item, distilled_by)
        return count

    def put_vectors(
        self, user_id: str, vectors: Sequence[tuple[int, Vector]], model_id: str
    ) -> None:
        """Sets vectors of a user's items by row id; rows that no longer exist are left out.

        An index learns of them from `raise_revision`, after the last ones.
        """
        with self.transaction() as connection:
            for row_id, vector in vectors:
                held = connection.execute("SELECT 1 FROM item WHERE id = ?", (row_id,)).fetchone()
                if held is not None:
                    rows.put_vector(connection, row_id, vector, model_id)

    def raise_revision(self, user_id: str) -> None:
        """Makes every index of a user read all rows again."""
        with self.transaction() as connection:
            rows.raise_revision(connection, user_id)

    def forget_items(self, user_id: str, item_ids: Sequence[str]) -> int:
        """Erases items with their vectors; returns how many of them existed."""
        self.prepare_erasing()
        count, step = 0, self.erased_rows
        for start in range(0, len(item_ids), step):
            with self.erasing() as connection:
                held = rows.held_item_ids(connection, user_id, item_ids[start : start + step])
                cursor = connection.executemany(
                    "DELETE FROM item WHERE item_id = ?"
                    " AND user = (SELECT id FROM user WHERE user_id = ?)",
                    [(item_id, user_id) for item_id in held],
                )
                notes.note_items(connection, user_id, held)
                rows.raise_revision(connection, user_id)
            count += cursor.rowcount
        return count

    # Reading

    def known_item_ids(self, user_id: str, item_ids: Sequence[str]) -> set[str]:
        """Returns those of the ids that the user already has."""
        with self.reading() as connection:
            return rows.held_item_ids(connection, user_id, item_ids)

    def user_state(self, user_id: str) -> UserState | None:
        """Returns the state that an index of the user must match; None if the user has no data."""
        with self.reading() as connection:
            row = connection.execute(
                "SELECT id, revision FROM user WHERE user_id = ?", (user_id,)
            ).fetchone()
        return None if row is None else UserState(row_id=row[0], revision=row[1])

    def index_rows(self, user: UserState, after_row_id: int, model_id: str) -> list[IndexRow]:
        """Returns the items after a row, ordered by row, with the vectors of a model."""
        with self.reading() as connection:
            found = connection.execute(
                "SELECT item.id, text, session_id, vector, speaker_name, speaker, kind,"
                " created_unix_ms FROM item"
                " LEFT JOIN vec ON vec.item = item.id AND vec.model_id = ?"
                " WHERE user = ? AND item.id > ? ORDER BY item.id",
                (model_id, user.row_id, after_row_id),
            )
            return [
                IndexRow(
                    row_id=row_id,
                    text=text,
                    session_id=session_id,
                    vector=None if blob is None else np.frombuffer(blob, dtype="<f4"),
                    speaker_name=speaker_name,
                    by_assistant=speaker == SPEAKER_ASSISTANT,
                    is_fact=kind == ITEM_KIND_FACT,
                    is_summary=kind == ITEM_KIND_SUMMARY,
                    created_unix_ms=created_unix_ms,
                )
                for (
                    row_id,
                    text,
                    session_id,
                    blob,
                    speaker_name,
                    speaker,
                    kind,
                    created_unix_ms,
                ) in found
            ]

    def items(self, row_ids: Sequence[int]) -> dict[int, Item]:
        """Returns items by their row ids; rows that no longer exist are left out."""
        places = ", ".join("?" * len(row_ids))
        with self.reading() as connection:
            found = connection.execute(
                f"{rows.SELECT_ITEMS} WHERE item.id IN ({places})",
                list(row_ids),
            )
            return dict(map(rows.numbered_item, found))

    def count(self, user_id: str, kinds: Sequence[int] = ()) -> int:
        """Counts the items of a user, of `kinds` or of all."""
        with self.reading() as connection:
            (count,) = connection.execute(
                "SELECT count(*) FROM item"  # noqa: S608
                " WHERE user = (SELECT id FROM user WHERE user_id = ?)"
                f"{rows.of_kinds(kinds)}",
                (user_id,),
            ).fetchone()
        return int(count)

    def slice(
        self,
        user_id: str,
        *,
        after: Position | None,
        limit: int,
        newest_first: bool,
        kinds: Sequence[int] = (),
    ) -> list[tuple[Position, Item]]:
        """Returns at most `limit` items after a position, in order of time.

        Only items of `kinds` are returned; all kinds if it is empty.
        """
        sign, order = ("<", "DESC") if newest_first else (">", "ASC")
        behind = f" AND (created_unix_ms, item.id) {sign} (?, ?)" if after is not None else ""
        start = () if after is None else (after.created_unix_ms, after.row_id)
        with self.reading() as connection:
            selected = connection.execute(
                f"{rows.SELECT_ITEMS}"  # noqa: S608
                " WHERE user = (SELECT id FROM user WHERE user_id = ?)"
                f"{behind}{rows.of_kinds(kinds)}"
                f" ORDER BY created_unix_ms {order}, item.id {order} LIMIT ?",
                (user_id, *start, limit),
            )
            found = list(map(rows.numbered_item, selected))
        return [
            (Position(created_unix_ms=item.created_unix_ms, row_id=row_id), item)
            for row_id, item in found
        ]

    def users_without_vectors(self, model_id: str) -> list[str]:
        """Returns the users that have items without a vector of a model, the latest ones first."""
        with self.reading() as connection:
            found = connection.execute(
                "SELECT user_id FROM item JOIN user ON user.id = item.user"
                " LEFT JOIN vec ON vec.item = item.id AND vec.model_id = ?"
                " WHERE vec.item IS NULL GROUP BY user_id ORDER BY max(item.id) DESC",
                (model_id,),
            )
            return [row[0] for row in found]
