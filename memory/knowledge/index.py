"""Searches the passages of a library exactly, by vectors and words."""

import threading
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory.knowledge.document import Owner
from memory.knowledge.rows import LibraryState, PassageRow, Vector
from memory.knowledge.tables import KnowledgeTables
from retrieval.hybrid import best_first, blend, lexical_weight
from retrieval.lexical import LexicalIndex


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundRow:
    """A row that was found, with its scores, each 0 to 1."""

    row_id: int
    score: float
    vector_score: float
    lexical_score: float


class LibraryIndex:
    """All passages of one library in memory. Not thread-safe: `LibraryIndexes` locks."""

    def __init__(self, dimensions: int | None, model_id: str = "") -> None:
        """Creates an empty index.

        Args:
            dimensions: The length of a vector; None without vectors.
            model_id: The model of the vectors.
        """
        self._lexical_weight = lexical_weight(model_id)
        self._lexical = LexicalIndex()
        self._row_ids = array("q")
        self._dimensions = dimensions
        self._vectors = np.zeros((0, dimensions or 0), dtype=np.float32)
        self._position_of_vector = np.zeros(0, dtype=np.intp)

    def add(self, added: Sequence[PassageRow]) -> None:
        """Adds rows; their ids must be ascending."""
        first = len(self._row_ids)
        for row in added:
            self._row_ids.append(row.row_id)
            self._lexical.add(row.searched_text)
        if self._dimensions is None:
            return
        new = [(first + at, row.vector) for at, row in enumerate(added) if row.vector is not None]
        if new:
            self._vectors = np.vstack([self._vectors, *(vector for _, vector in new)])
            positions = np.array([position for position, _ in new], dtype=np.intp)
            self._position_of_vector = np.concatenate([self._position_of_vector, positions])

    @property
    def last_row_id(self) -> int:
        """The newest row that the index contains; 0 if none."""
        return self._row_ids[-1] if self._row_ids else 0

    @property
    def size_bytes(self) -> int:
        """The approximate memory use of the index."""
        return self._lexical.size_bytes + self._vectors.nbytes + 16 * len(self._row_ids)

    def search(self, query: str, vector: Vector | None, k: int) -> list[FoundRow]:
        """Returns the k rows with the highest scores, best first; equal ones oldest first."""
        lexical = self._lexical.scores(query)
        cosines = None if vector is None else self._cosines(vector)
        scores = blend(cosines, lexical, self._lexical_weight)
        return [
            FoundRow(
                row_id=self._row_ids[position],
                score=min(1.0, float(scores[position])),
                vector_score=0.0 if cosines is None else float(cosines[position]),
                lexical_score=float(lexical[position]),
            )
            for position in best_first(scores, k).tolist()
        ]

    def _cosines(self, vector: Vector) -> NDArray[np.float32]:
        """Returns the cosine of every row, 0 to 1; 0 for rows without a vector."""
        cosines = np.zeros(len(self._row_ids), dtype=np.float32)
        cosines[self._position_of_vector] = np.clip(self._vectors @ vector, 0, 1)
        return cosines


class _Entry:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.state: LibraryState | None = None
        self.index: LibraryIndex | None = None
        self.size_bytes = 0


class LibraryIndexes:
    """Keeps the indexes of the most recently searched libraries. Thread-safe.

    As with `memory.search.index.IndexCache`, an index adds what was stored since before each
    search, so it needs no notification of changes, and it can be dropped at any time.
    """

    def __init__(
        self, tables: KnowledgeTables, *, model_id: str, dimensions: int | None, max_bytes: int
    ) -> None:
        """Creates an empty cache.

        Args:
            tables: The source of truth.
            model_id: The model whose vectors are searched.
            dimensions: The length of these vectors; None means a search by words only.
            max_bytes: The memory limit of the indexes; the one in use may exceed it.
        """
        self._tables = tables
        self._model_id = model_id
        self._dimensions = dimensions
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Owner, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def search(self, owner: Owner, query: str, vector: Vector | None, k: int) -> list[FoundRow]:
        """Searches an owner's current passages."""
        state = self._tables.state(owner)
        if state is None:
            self.drop(owner)
            return []
        with self._lock:
            entry = self._entries.setdefault(owner, _Entry())
            self._entries.move_to_end(owner)
        with entry.lock:
            found = self._current(state, entry).search(query, vector, k)
        self._shrink(owner)
        return found

    def drop(self, owner: Owner) -> None:
        """Drops everything cached about an owner."""
        with self._lock:
            self._entries.pop(owner, None)

    def _current(self, state: LibraryState, entry: _Entry) -> LibraryIndex:
        if entry.index is None or entry.state != state:
            entry.index, entry.state = LibraryIndex(self._dimensions, self._model_id), state
        added = self._tables.index_rows(state, entry.index.last_row_id, self._model_id)
        if added:
            entry.index.add(added)
            entry.size_bytes = entry.index.size_bytes
        return entry.index

    def _shrink(self, used: Owner) -> None:
        with self._lock:
            total = sum(entry.size_bytes for entry in self._entries.values())
            while total > self._max_bytes and len(self._entries) > 1:
                oldest = next(iter(self._entries))
                if oldest == used:
                    break
                total -= self._entries.pop(oldest).size_bytes
