"""Searches the items of a user: an exact FAISS index beside a lexical one, made from the store."""

import threading
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from memory.store import IndexRow, Store, UserState
from retrieval.hybrid import best_first, blend
from retrieval.lexical import LexicalIndex


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A row that was found, with its scores, each 0 to 1."""

    row_id: int
    score: float
    vector_score: float
    lexical_score: float


class UserIndex:
    """All items of one user in memory. Not safe for threads: `IndexCache` holds a lock."""

    def __init__(self, dimensions: int | None) -> None:
        """Makes an empty index; `dimensions` is the length of a vector, None without vectors."""
        self._lexical = LexicalIndex()
        self._row_ids = array("q")
        self._sessions: dict[str, list[int]] = {}
        self._vectors = (
            None if dimensions is None else faiss.IndexIDMap2(faiss.IndexFlatIP(dimensions))
        )

    def add(self, rows: Sequence[IndexRow]) -> None:
        """Adds rows; their ids must rise."""
        for row in rows:
            if row.session_id:
                self._sessions.setdefault(row.session_id, []).append(len(self._row_ids))
            self._row_ids.append(row.row_id)
            self._lexical.add(row.text)
        with_vector = [row for row in rows if row.vector is not None]
        if self._vectors is not None and with_vector:
            matrix = np.stack([row.vector for row in with_vector if row.vector is not None])
            ids = np.array([row.row_id for row in with_vector], dtype=np.int64)
            self._vectors.add_with_ids(matrix, ids)

    @property
    def last_row_id(self) -> int:
        """The newest row that the index has seen; 0 for none."""
        return self._row_ids[-1] if self._row_ids else 0

    @property
    def size_bytes(self) -> int:
        """About how much memory the index takes."""
        vectors = 0
        if self._vectors is not None:
            # Besides its numbers FAISS keeps each id twice, in a list and in a hash table.
            vectors = self._vectors.ntotal * (4 * self._vectors.d + 56)
        return 16 * len(self._row_ids) + self._lexical.size_bytes + vectors

    def search(
        self, query: str, vector: NDArray[np.float32] | None, k: int, exclude_session_id: str
    ) -> list[Found]:
        """Finds the rows with the highest scores, exactly.

        Args:
            query: What to look for.
            vector: Of the query, shape [dimensions]; None: words alone count.
            k: The most rows.
            exclude_session_id: Rows of this session do not count; empty: all count.

        Returns:
            At most k rows with a score above 0, best first; of equal ones the newest first.
        """
        lexical = self._lexical.scores(query)
        cosines = None if vector is None else self._cosines(vector)
        scores = blend(cosines, lexical)
        excluded = self._sessions.get(exclude_session_id, []) if exclude_session_id else []
        kept = np.ones(len(scores), dtype=np.bool_)
        kept[excluded] = False
        newest_first = np.flatnonzero(kept)[::-1]
        return [
            Found(
                row_id=self._row_ids[position],
                score=float(scores[position]),
                vector_score=0.0 if cosines is None else float(cosines[position]),
                lexical_score=float(lexical[position]),
            )
            for position in newest_first[best_first(scores[newest_first], k)]
            if scores[position] > 0
        ]

    def _cosines(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Gives the cosine of every row, 0 to 1; 0 for rows without a vector."""
        cosines = np.zeros(len(self._row_ids), dtype=np.float32)
        if self._vectors is not None and self._vectors.ntotal:
            # One query is too little work to share: on busy cores a second thread makes it slower
            # by far. OpenMP keeps the number per calling thread, so it is set where it counts.
            faiss.omp_set_num_threads(1)
            # Not only the nearest: the joined score needs the cosine also where the words are near.
            _, near, row_ids = self._vectors.range_search(vector[np.newaxis], 0.0)
            held = np.frombuffer(self._row_ids, dtype=np.int64)
            cosines[np.searchsorted(held, row_ids)] = np.minimum(near, 1)
        return cosines


class _Entry:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.state: UserState | None = None
        self.index: UserIndex | None = None
        self.size_bytes = 0


class IndexCache:
    """Keeps the indexes of the users who were here last. Safe for threads.

    An index is made when it is first asked for. Before each search it takes up what was stored
    since; when anything else has changed for the user, it is made anew. So it never needs to be
    told of a change, and it can be lost at any time.
    """

    def __init__(
        self, store: Store, *, model_id: str, dimensions: int | None, max_bytes: int
    ) -> None:
        """Makes an empty cache.

        Args:
            store: The truth.
            model_id: Whose vectors are searched.
            dimensions: The length of these vectors; None: search by words alone.
            max_bytes: How much memory the indexes may take; the one in use may take more.
        """
        self._store = store
        self._model_id = model_id
        self._dimensions = dimensions
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """About how much memory all indexes take."""
        with self._lock:
            return sum(entry.size_bytes for entry in self._entries.values())

    def search(
        self,
        user_id: str,
        query: str,
        vector: NDArray[np.float32] | None,
        *,
        k: int,
        exclude_session_id: str,
    ) -> list[Found]:
        """Searches the items of a user as they are now; see `UserIndex.search`."""
        with self._lock:
            entry = self._entries.setdefault(user_id, _Entry())
            self._entries.move_to_end(user_id)
        with entry.lock:
            index = self._current(user_id, entry)
            found = [] if index is None else index.search(query, vector, k, exclude_session_id)
        self._shrink(user_id)
        return found

    def drop(self, user_id: str) -> None:
        """Removes what is kept about a user from memory."""
        with self._lock:
            self._entries.pop(user_id, None)

    def _current(self, user_id: str, entry: _Entry) -> UserIndex | None:
        state = self._store.user_state(user_id)
        if state is None:
            self.drop(user_id)
            return None
        if entry.index is None or entry.state != state:
            entry.index, entry.state = UserIndex(self._dimensions), state
        rows = self._store.index_rows(state, entry.index.last_row_id, self._model_id)
        if rows:
            entry.index.add(rows)
            entry.size_bytes = entry.index.size_bytes
        return entry.index

    def _shrink(self, used: str) -> None:
        with self._lock:
            total = sum(entry.size_bytes for entry in self._entries.values())
            while total > self._max_bytes and len(self._entries) > 1:
                oldest = next(iter(self._entries))
                if oldest == used:
                    break
                total -= self._entries.pop(oldest).size_bytes
