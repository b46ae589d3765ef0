"""The knowledge base's rows in the memory's database: all of its SQL stands here.

The SQL is plain, so that an engine on another database can take it over.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memory.knowledge.document import Document, DocumentPosition, Owner, Passage
from memory.sqlite import rows
from memory.sqlite.connection import Connection
from services.runtime.errors import InvalidRequest

Vector = NDArray[np.float32]

_DOCUMENT = (
    "document.document_id, document.title, document.source_uri, document.media_type,"
    " document.sha256, document.size_bytes, document.page_count, document.passage_count,"
    " document.added_unix_ms"
)
_PASSAGE = "passage_id, text, heading, page, number, metadata_json"
_SELECT_PASSAGES = (
    f"SELECT passage.id, {_PASSAGE}, {_DOCUMENT} FROM passage"  # noqa: S608
    " LEFT JOIN document ON document.id = passage.document"
)
_MAX_PLACES = 500


class Database(Protocol):
    """What the tables need of a store; a `memory.store.Truth` is one."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Gives a connection that reads one snapshot."""
        ...

    def transaction(self) -> AbstractContextManager[Connection]:
        """Gives the connection that writes; commits at the end, rolls back on an exception."""
        ...

    def erasing(self) -> AbstractContextManager[Connection]:
        """As `transaction`; afterwards nothing of what was erased is left in the files."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class LibraryState:
    """What an index of the library must agree with."""

    row_id: int
    revision: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PassageRow:
    """What an index needs to know of a passage."""

    row_id: int
    searched_text: str
    vector: Vector | None


class KnowledgeTables:
    """Documents and passages of all owners. Safe for threads, as its database is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Reading

    def state(self, owner: Owner) -> LibraryState | None:
        """Gives what an index must agree with; None if the owner has nothing."""
        with self._database.reading() as connection:
            return _state(connection, owner)

    def document(
        self, owner: Owner, *, document_id: str = "", source_uri: str = ""
    ) -> Document | None:
        """Gives a document by its id, or by where it comes from; None if there is none."""
        column, value = ("document_id", document_id) if document_id else ("source_uri", source_uri)
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {_DOCUMENT} FROM document"  # noqa: S608
                f" WHERE library = ({_library(owner)}) AND {column} = ?",
                (_name(owner), value),
            ).fetchone()
        return None if row is None else _document(row)

    def documents(
        self, owner: Owner, *, after: DocumentPosition | None, limit: int
    ) -> tuple[list[Document], int]:
        """Gives documents by title, from behind a position, and how many there are in all."""
        behind = " AND (title, document_id) > (?, ?)" if after is not None else ""
        start = () if after is None else (after.title, after.document_id)
        with self._database.reading() as connection:
            found = connection.execute(
                f"SELECT {_DOCUMENT} FROM document WHERE library = ({_library(owner)}){behind}"  # noqa: S608
                " ORDER BY title, document_id LIMIT ?",
                (_name(owner), *start, limit),
            ).fetchall()
            (count,) = connection.execute(
                f"SELECT count(*) FROM document WHERE library = ({_library(owner)})",  # noqa: S608
                (_name(owner),),
            ).fetchone()
        return [_document(row) for row in found], int(count)

    def document_passages(
        self, owner: Owner, document_id: str, *, first: int, limit: int
    ) -> list[Passage]:
        """Gives the passages of a document in their order, from a number on."""
        with self._database.reading() as connection:
            found = connection.execute(
                f"{_SELECT_PASSAGES} WHERE document.library = ({_library(owner)})"
                " AND document_id = ? AND number >= ? ORDER BY number LIMIT ?",
                (_name(owner), document_id, first, limit),
            )
            return [_passage(row[1:]) for row in found]

    def passages(self, owner: Owner, passage_ids: Sequence[str]) -> dict[str, Passage]:
        """Gives passages by their ids; those that are not held are left out."""
        held: dict[str, Passage] = {}
        with self._database.reading() as connection:
            for some in _in_parts(passage_ids):
                found = connection.execute(
                    f"{_SELECT_PASSAGES} WHERE passage.library = ({_library(owner)})"
                    f" AND passage_id IN ({_places(some)})",
                    (_name(owner), *some),
                )
                held.update((row[1], _passage(row[1:])) for row in found)
        return held

    def passages_by_row(self, row_ids: Sequence[int]) -> dict[int, Passage]:
        """Gives passages by their rows; rows that are gone are left out."""
        with self._database.reading() as connection:
            found = connection.execute(
                f"{_SELECT_PASSAGES} WHERE passage.id IN ({_places(row_ids)})", list(row_ids)
            )
            return {row[0]: _passage(row[1:]) for row in found}

    def index_rows(
        self, library: LibraryState, after_row_id: int, model_id: str
    ) -> list[PassageRow]:
        """Gives what came after a row, in the order of the rows, with the vectors of a model."""
        with self._database.reading() as connection:
            found = connection.execute(
                f"SELECT passage.id, {_PASSAGE}, {_DOCUMENT}, model_id, vector FROM passage"  # noqa: S608
                " LEFT JOIN document ON document.id = passage.document"
                " WHERE passage.library = ? AND passage.id > ? ORDER BY passage.id",
                (library.row_id, after_row_id),
            )
            return [
                PassageRow(
                    row_id=row[0],
                    searched_text=_passage(row[1:-2]).searched_text,
                    vector=_vector(row[-1]) if row[-2] == model_id else None,
                )
                for row in found
            ]

    def libraries_without_vectors(self, model_id: str) -> list[LibraryState]:
        """Gives the libraries that have passages without a vector of a model."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT id, revision FROM library WHERE id IN"
                " (SELECT library FROM passage WHERE model_id <> ?)",
                (model_id,),
            )
            return [LibraryState(row_id=row[0], revision=row[1]) for row in found]

    # Writing

    def put_document(
        self,
        owner: Owner,
        document: Document,
        passages: Sequence[Passage],
        vectors: Sequence[Vector | None],
        model_id: str,
    ) -> bool:
        """Stores a document in one transaction; returns whether it took the place of another."""
        # Only a replacement leaves something to be erased; a first document must not wait for it.
        replaces = self.document(owner, source_uri=document.source_uri) is not None
        change = self._database.erasing if replaces else self._database.transaction
        with change() as connection:
            library = _library_row(connection, owner)
            old = connection.execute(
                "DELETE FROM document WHERE library = ? AND source_uri = ?",
                (library, document.source_uri),
            ).rowcount
            if old:
                _raise_revision(connection, library)
            (row,) = connection.execute(
                "INSERT INTO document (library, document_id, title, source_uri, media_type, sha256,"
                " size_bytes, page_count, passage_count, added_unix_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (
                    library,
                    document.document_id,
                    document.title,
                    document.source_uri,
                    document.media_type,
                    document.sha256,
                    document.size_bytes,
                    document.page_count,
                    document.passage_count,
                    document.added_unix_ms,
                ),
            ).fetchone()
            _insert(connection, library, row, passages, vectors, model_id)
        return bool(old)

    def remove_document(self, owner: Owner, document_id: str) -> int | None:
        """Erases a document; returns how many passages it had, None if there is none."""
        if self.document(owner, document_id=document_id) is None:
            return None
        with self._database.erasing() as connection:
            row = connection.execute(
                f"SELECT library, id, passage_count FROM document"  # noqa: S608
                f" WHERE library = ({_library(owner)}) AND document_id = ?",
                (_name(owner), document_id),
            ).fetchone()
            if row is None:
                return None
            connection.execute("DELETE FROM document WHERE id = ?", (row[1],))
            _raise_revision(connection, row[0])
        return int(row[2])

    def put_passages(
        self,
        owner: Owner,
        passages: Sequence[Passage],
        vectors: Sequence[Vector | None],
        model_id: str,
    ) -> None:
        """Stores passages of no document in one transaction; known ids are replaced.

        Raises:
            InvalidRequest: An id is that of a passage of a document.
        """
        ids = [one.passage_id for one in passages]
        if len(set(ids)) < len(ids):
            raise InvalidRequest("passages: a passage_id comes twice")
        known = self.passages(owner, ids)
        change = self._database.erasing if known else self._database.transaction
        with change() as connection:
            library = _library_row(connection, owner)
            if _delete_loose(connection, library, ids):
                _raise_revision(connection, library)
            held = connection.execute(
                "SELECT passage_id FROM passage WHERE library = ?"  # noqa: S608
                f" AND passage_id IN ({_places(ids)})",
                (library, *ids),
            ).fetchone()
            if held is not None:
                raise InvalidRequest(f"passages: {held[0]} is a passage of a document")
            _insert(connection, library, None, passages, vectors, model_id)

    def remove_passages(self, owner: Owner, passage_ids: Sequence[str]) -> int:
        """Erases passages of no document; returns how many there were."""
        if not self.passages(owner, passage_ids):
            return 0
        with self._database.erasing() as connection:
            state = _state(connection, owner)
            if state is None:
                return 0
            count = _delete_loose(connection, state.row_id, passage_ids)
            _raise_revision(connection, state.row_id)
        return count

    def put_vectors(
        self, library: LibraryState, vectors: Sequence[tuple[int, Vector]], model_id: str
    ) -> None:
        """Sets vectors of a library's passages by their rows; rows that are gone are left out."""
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE passage SET vector = ?, model_id = ? WHERE id = ? AND library = ?",
                [(_blob(vector), model_id, row, library.row_id) for row, vector in vectors],
            )
            _raise_revision(connection, library.row_id)


def _library(owner: Owner) -> str:
    """A query for the library of the owner, whose name is its parameter."""
    if owner.user_id:
        return "SELECT id FROM library WHERE user = (SELECT id FROM user WHERE user_id = ?)"
    return "SELECT id FROM library WHERE persona = ?"


def _name(owner: Owner) -> str:
    return owner.user_id or owner.persona


def _state(connection: Connection, owner: Owner) -> LibraryState | None:
    row = connection.execute(
        f"SELECT id, revision FROM library WHERE id = ({_library(owner)})",  # noqa: S608
        (_name(owner),),
    ).fetchone()
    return None if row is None else LibraryState(row_id=row[0], revision=row[1])


def _library_row(connection: Connection, owner: Owner) -> int:
    """Gives the row of the owner's library, made if it is missing."""
    state = _state(connection, owner)
    if state is not None:
        return state.row_id
    user = rows.user_row(connection, owner.user_id) if owner.user_id else None
    (row,) = connection.execute(
        "INSERT INTO library (user, persona) VALUES (?, ?) RETURNING id",
        (user, owner.persona or None),
    ).fetchone()
    return int(row)


def _raise_revision(connection: Connection, library: int) -> None:
    connection.execute("UPDATE library SET revision = revision + 1 WHERE id = ?", (library,))


def _insert(
    connection: Connection,
    library: int,
    document: int | None,
    passages: Sequence[Passage],
    vectors: Sequence[Vector | None],
    model_id: str,
) -> None:
    connection.executemany(
        f"INSERT INTO passage (library, document, {_PASSAGE}, model_id, vector)"  # noqa: S608
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                library,
                document,
                one.passage_id,
                one.text,
                one.heading,
                one.page,
                one.number,
                one.metadata_json,
                "" if vector is None else model_id,
                None if vector is None else _blob(vector),
            )
            for one, vector in zip(passages, vectors, strict=True)
        ],
    )


def _delete_loose(connection: Connection, library: int, passage_ids: Sequence[str]) -> int:
    return sum(
        connection.execute(
            "DELETE FROM passage WHERE library = ? AND document IS NULL"  # noqa: S608
            f" AND passage_id IN ({_places(some)})",
            (library, *some),
        ).rowcount
        for some in _in_parts(passage_ids)
    )


def _in_parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _MAX_PLACES):
        yield ids[start : start + _MAX_PLACES]


def _places(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _blob(vector: Vector) -> bytes:
    return vector.astype("<f4").tobytes()


def _vector(blob: bytes | None) -> Vector | None:
    return None if blob is None else np.frombuffer(blob, dtype="<f4")


def _document(row: Sequence[Any]) -> Document:
    document_id, title, source_uri, media_type, sha256, size, pages, passages, added = row
    return Document(
        document_id=document_id,
        title=title,
        source_uri=source_uri,
        media_type=media_type,
        sha256=sha256,
        size_bytes=size,
        page_count=pages,
        passage_count=passages,
        added_unix_ms=added,
    )


def _passage(row: Sequence[Any]) -> Passage:
    passage_id, text, heading, page, number, metadata_json = row[:6]
    return Passage(
        passage_id=passage_id,
        text=text,
        heading=heading,
        page=page,
        number=number,
        metadata_json=metadata_json,
        document=None if row[6] is None else _document(row[6:]),
    )
