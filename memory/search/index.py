"""Searches the items of a user: an exact FAISS index and a lexical one, built from the store."""

import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from memory.items.item import searched_text
from memory.search.names import without_names
from memory.search.ranking import (
    ASSISTANT,
    FULL_RANK,
    USER,
    WEIGHTS,
    Neighbours,
    Weights,
    asked_speakers,
    favour,
    prior,
    weights_for,
    with_surroundings,
)
from memory.search.telling import asks_how_many, asks_when, tells_how_many, tells_when
from memory.search.times import Months, periods_in
from memory.store import IndexRow, Truth, UserState
from retrieval.hybrid import best_first, blend
from retrieval.lexical import LexicalIndex

Embed = Callable[[str], NDArray[np.float32]]
"""Returns the vector of a question, shape [dimensions]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A row that was found, with its scores, each 0 to 1."""

    row_id: int
    score: float
    """The score for ordering rows: of the row, its surroundings and its kind."""
    own_score: float
    """The score of the row alone."""
    vector_score: float
    lexical_score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Columns:
    """Per-row values that are independent of the query; computed once after rows were added."""

    session_of: NDArray[np.int32]
    neighbours: Neighbours
    speaker_of: NDArray[np.int32]
    is_fact: NDArray[np.bool_]
    prior: NDArray[np.float32]
    months: Months
    tells_when: NDArray[np.bool_]
    tells_how_many: NDArray[np.bool_]


class UserIndex:
    """All items of one user in memory. Not thread-safe: `IndexCache` holds a lock."""

    def __init__(self, dimensions: int | None, weights: Weights = WEIGHTS) -> None:
        """Creates an empty index; `dimensions` is the length of a vector, None without vectors."""
        self._weights = weights
        self._lexical = LexicalIndex()
        self._row_ids = array("q")
        self._sessions: dict[str, int] = {}
        self._session_of = array("i")
        self._last_of_session: dict[str, int] = {}
        self._previous = array("i")
        self._next = array("i")
        self._speakers: dict[str, int] = {}
        self._speaker_of = array("i")
        self._is_question = array("b")
        self._is_fact = array("b")
        self._tells_when = array("b")
        self._tells_how_many = array("b")
        self._created_unix_ms = array("q")
        self._position_of_vector = array("q")
        self._vectors = None if dimensions is None else faiss.IndexFlatIP(dimensions)
        self._made_columns: _Columns | None = None

    def add(self, rows: Sequence[IndexRow]) -> None:
        """Adds rows; their ids must be ascending."""
        self._made_columns = None
        with_vector = []
        for row in rows:
            position = len(self._row_ids)
            self._row_ids.append(row.row_id)
            self._lexical.add(searched_text(row.speaker_name, row.text))
            self._place(position, row)
            label = row.speaker_name or (ASSISTANT if row.by_assistant else USER)
            self._speaker_of.append(self._speakers.setdefault(label, len(self._speakers)))
            self._is_question.append(row.text.rstrip().endswith(("?", "？")))
            self._is_fact.append(row.is_fact)
            self._tells_when.append(tells_when(row.text))
            self._tells_how_many.append(tells_how_many(row.text))
            self._created_unix_ms.append(row.created_unix_ms)
            if self._vectors is not None and row.vector is not None:
                with_vector.append(row.vector)
                self._position_of_vector.append(position)
        if self._vectors is not None and with_vector:
            self._vectors.add(np.stack(with_vector))

    def _place(self, position: int, row: IndexRow) -> None:
        # An item without a session forms a session of its own.
        key = row.session_id or f"\0{position}"
        self._session_of.append(self._sessions.setdefault(key, len(self._sessions)))
        self._next.append(-1)
        if row.is_fact:
            self._previous.append(-1)
            return
        before = self._last_of_session.get(key, -1)
        self._previous.append(before)
        if before >= 0:
            self._next[before] = position
        if row.session_id:
            self._last_of_session[key] = position

    @property
    def last_row_id(self) -> int:
        """The newest row that the index contains; 0 if none."""
        return self._row_ids[-1] if self._row_ids else 0

    @property
    def size_bytes(self) -> int:
        """The approximate memory use of the index."""
        vectors = 0 if self._vectors is None else self._vectors.ntotal * (4 * self._vectors.d + 8)
        columns = 1_500 + 90 * len(self._row_ids) + 200 * len(self._sessions)
        return columns + self._lexical.size_bytes + vectors

    def search(
        self,
        query: str,
        vector: NDArray[np.float32] | None,
        k: int,
        exclude_session_id: str,
        facts: bool | None = None,
        embed: Embed | None = None,
    ) -> list[Found]:
        """Returns the rows with the highest scores; the search is exact.

        Args:
            query: The text to search for.
            vector: The vector of the query, shape [dimensions]; None means a search by words only.
            k: The maximum number of rows.
            exclude_session_id: A session whose rows are excluded; empty means none.
            facts: True for facts only, False for everything but facts, None for both.
            embed: Computes the vector of the query without the names of the speakers, by which rows
                are ordered; None means that it is ordered by `vector`.

        Returns:
            At most k rows with a score above 0, best first; among equal ones the newest first.
        """
        if not self._row_ids:
            return []
        columns = self._columns()
        lexical, sessions = self._lexical.scores_with_groups(
            query, columns.session_of, len(self._sessions)
        )
        cosines = unnamed = None if vector is None else self._cosines(vector)
        bare = without_names(query, self._speakers)
        if vector is not None and embed is not None and bare != query:
            unnamed = self._cosines(embed(bare))
        ranks = with_surroundings(
            lexical, unnamed, sessions[columns.session_of], columns.neighbours, self._weights
        )
        ranks *= self._factors(query, columns)
        if exclude_session_id in self._sessions:
            ranks[columns.session_of == self._sessions[exclude_session_id]] = 0
        if facts is not None:
            ranks[columns.is_fact != facts] = 0
        # Of the whole question, because the thresholds of the selector were measured with its name.
        own = blend(cosines, lexical, self._weights.lexical)
        count = len(ranks)
        return [
            Found(
                row_id=self._row_ids[position],
                score=min(1.0, float(ranks[position]) / FULL_RANK),
                own_score=float(own[position]),
                vector_score=0.0 if cosines is None else float(cosines[position]),
                lexical_score=float(lexical[position]),
            )
            for position in (count - 1 - best_first(ranks[::-1], k)).tolist()
            if ranks[position] > 0
        ]

    def _factors(self, query: str, columns: _Columns) -> NDArray[np.float32]:
        """Returns the factor of each row's relevance: for its kind, speaker, time and content."""
        weights, factors = self._weights, columns.prior.copy()
        asked = asked_speakers(query, set(self._speakers))
        if not asked.isdisjoint(self._speakers):
            codes = [code for label, code in self._speakers.items() if label in asked]
            factors *= favour(codes, columns.speaker_of, len(self._speakers), weights)
        if periods := periods_in(query):
            factors *= 1 + np.float32(weights.period) * columns.months.matches(periods)
        if asks_when(query):
            factors *= 1 + np.float32(weights.when) * columns.tells_when
        if asks_how_many(query):
            factors *= 1 + np.float32(weights.how_many) * columns.tells_how_many
        return factors

    def _columns(self) -> _Columns:
        if self._made_columns is None:
            is_fact = np.array(self._is_fact, dtype=np.bool_)
            is_question = np.array(self._is_question, dtype=np.bool_)
            self._made_columns = _Columns(
                session_of=_copied(self._session_of),
                neighbours=Neighbours(previous=_copied(self._previous), next=_copied(self._next)),
                speaker_of=_copied(self._speaker_of),
                is_fact=is_fact,
                prior=prior(self._lexical.lengths, is_question, is_fact, self._weights),
                months=Months(self._created_unix_ms),
                tells_when=np.array(self._tells_when, dtype=np.bool_),
                tells_how_many=np.array(self._tells_how_many, dtype=np.bool_),
            )
        return self._made_columns

    def _cosines(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the cosine of every row, 0 to 1; 0 for rows without a vector."""
        cosines = np.zeros(len(self._row_ids), dtype=np.float32)
        if self._vectors is not None and self._vectors.ntotal:
            # All rows, not only the nearest: the combined score also needs the cosine of rows whose
            # words match. FAISS would return them one by one, so its numbers are multiplied in
            # place.
            count, dimensions = self._vectors.ntotal, self._vectors.d
            held = faiss.rev_swig_ptr(self._vectors.get_xb(), count * dimensions)
            near = held.reshape(count, dimensions) @ vector
            cosines[np.frombuffer(self._position_of_vector, dtype=np.int64)] = np.clip(near, 0, 1)
        return cosines


def _copied(numbers: "array[int]") -> NDArray[np.int32]:
    # Not a view: while one exists, the array cannot grow.
    return np.array(numbers, dtype=np.int32)


class _Entry:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.state: UserState | None = None
        self.index: UserIndex | None = None
        # Separate, so that their words do not change the ranking of the turns that they repeat.
        self.summaries: UserIndex | None = None
        self.size_bytes = 0

    @property
    def last_row_id(self) -> int:
        return max(index.last_row_id if index else 0 for index in (self.index, self.summaries))


class IndexCache:
    """Keeps the indexes of the most recent users. Thread-safe.

    An index is built on first use. Before each search it adds what was stored since; after any
    other change for the user it is rebuilt. So it needs no notification of changes, and it can be
    dropped at any time.
    """

    def __init__(
        self, store: Truth, *, model_id: str, dimensions: int | None, max_bytes: int
    ) -> None:
        """Creates an empty cache.

        Args:
            store: The source of truth.
            model_id: The model whose vectors are searched.
            dimensions: The length of these vectors; None means a search by words only.
            max_bytes: The memory limit of the indexes; the one in use may exceed it.
        """
        self._store = store
        self._model_id = model_id
        self._dimensions = dimensions
        self._weights = weights_for(model_id)
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """The approximate memory use of all indexes."""
        return self._size_bytes

    def search(
        self,
        user_id: str,
        query: str,
        vector: NDArray[np.float32] | None,
        *,
        k: int,
        exclude_session_id: str,
        facts: bool | None = None,
        summaries: bool = False,
        embed: Embed | None = None,
    ) -> list[Found]:
        """Searches a user's current items, without summaries or only them; see `UserIndex`."""
        with self._lock:
            entry = self._entries.setdefault(user_id, _Entry())
            self._entries.move_to_end(user_id)
        with entry.lock:
            self._refresh(user_id, entry)
            index = entry.summaries if summaries else entry.index
            found = (
                []
                if index is None
                else index.search(query, vector, k, exclude_session_id, facts, embed)
            )
        self._shrink(user_id)
        return found

    def drop(self, user_id: str) -> None:
        """Drops everything cached about a user."""
        with self._lock:
            entry = self._entries.pop(user_id, None)
            if entry is not None:
                self._size_bytes -= entry.size_bytes

    def _refresh(self, user_id: str, entry: _Entry) -> None:
        state = self._store.user_state(user_id)
        if state is None:
            entry.index = entry.summaries = None
            self.drop(user_id)
            return
        if entry.index is None or entry.state != state:
            entry.index, entry.summaries, entry.state = self._empty(), None, state
        rows = self._store.index_rows(state, entry.last_row_id, self._model_id)
        if rows:
            entry.index.add([row for row in rows if not row.is_summary])
            summaries = [row for row in rows if row.is_summary]
            if summaries:
                entry.summaries = entry.summaries or self._empty()
                entry.summaries.add(summaries)
            held = [index.size_bytes for index in (entry.index, entry.summaries) if index]
            self._weigh(user_id, entry, sum(held))

    def _empty(self) -> UserIndex:
        return UserIndex(self._dimensions, self._weights)

    def _weigh(self, user_id: str, entry: _Entry, size_bytes: int) -> None:
        with self._lock:
            if self._entries.get(user_id) is entry:  # otherwise it was dropped in the meantime
                self._size_bytes += size_bytes - entry.size_bytes
                entry.size_bytes = size_bytes

    def _shrink(self, used: str) -> None:
        with self._lock:
            while self._size_bytes > self._max_bytes and len(self._entries) > 1:
                oldest = next(iter(self._entries))
                if oldest == used:
                    break
                self._size_bytes -= self._entries.pop(oldest).size_bytes
