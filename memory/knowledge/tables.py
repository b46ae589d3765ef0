"""The knowledge base in the memory's database: documents and passages of all owners.

The SQL is plain, so that both SQLite and PostgreSQL can run it.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from memory.knowledge.document import Document, DocumentPosition, Owner, Passage
from memory.knowledge.rows import (
    DOCUMENT,
    PASSAGE,
    SELECT_PASSAGES,
    LibraryState,
    PassageRow,
    Vector,
    blob_of,
    delete_loose,
    document_of,
    in_parts,
    insert_passages,
    library_query,
    library_row,
    owner_name,
    passage_of,
    places,
    raise_revision,
    state_of,
    vector_of,
)
from memory.knowledge.uris import without_user_info
from memory.sqlite.connection import Connection
from services.runtime.errors import InvalidRequest

_USAGE = "count(*), coalesce(sum(size_bytes), 0)"


class Database(Protocol):
    """The interface that the tables need of a store; `memory.store.Truth` implements it."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Returns a connection that reads one snapshot."""
        ...

    def transaction(self) -> AbstractContextManager[Connection]:
        """Returns the writing connection; commits at the end, rolls back on an exception."""
        ...

    def erasing(self) -> AbstractContextManager[Connection]:
        """Like `transaction`; afterwards the erased data is removed from the files."""
        ...


class KnowledgeTables:
    """Documents and passages of all owners. As thread-safe as its database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Reading

    def state(self, owner: Owner) -> LibraryState | None:
        """Returns the state that an index must match; None if the owner has no data."""
        with self._database.reading() as connection:
            return state_of(connection, owner)

    def document(
        self, owner: Owner, *, document_id: str = "", source_uri: str = ""
    ) -> Document | None:
        """Returns a document by its id or its source; None if there is none."""
        column, value = ("document_id", document_id) if document_id else ("source_uri", source_uri)
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {DOCUMENT} FROM document"  # noqa: S608
                f" WHERE library = ({library_query(owner)}) AND {column} = ?",
                (owner_name(owner), value),
            ).fetchone()
        return None if row is None else document_of(row)

    def documents(
        self, owner: Owner, *, after: DocumentPosition | None, limit: int
    ) -> tuple[list[Document], int]:
        """Returns documents by title, starting after a position, and the total number."""
        behind = " AND (title, document_id) > (?, ?)" if after is not None else ""
        start = () if after is None else (after.title, after.document_id)
        with self._database.reading() as connection:
            found = connection.execute(
                f"SELECT {DOCUMENT} FROM document WHERE library = ({library_query(owner)}){behind}"  # noqa: S608
                " ORDER BY title, document_id LIMIT ?",
                (owner_name(owner), *start, limit),
            ).fetchall()
            (count,) = connection.execute(
                f"SELECT count(*) FROM document WHERE library = ({library_query(owner)})",  # noqa: S608
                (owner_name(owner),),
            ).fetchone()
        return [document_of(row) for row in found], int(count)

    def document_passages(
        self, owner: Owner, document_id: str, *, first: int, limit: int
    ) -> list[Passage]:
        """Returns the passages of a document in order, starting at a number."""
        with self._database.reading() as connection:
            found = connection.execute(
                f"{SELECT_PASSAGES} WHERE document.library = ({library_query(owner)})"
                " AND document_id = ? AND number >= ? ORDER BY number LIMIT ?",
                (owner_name(owner), document_id, first, limit),
            )
            return [passage_of(row[1:]) for row in found]

    def passages(self, owner: Owner, passage_ids: Sequence[str]) -> dict[str, Passage]:
        """Returns passages by their ids; passages that do not exist are left out."""
        held: dict[str, Passage] = {}
        with self._database.reading() as connection:
            for some in in_parts(passage_ids):
                found = connection.execute(
                    f"{SELECT_PASSAGES} WHERE passage.library = ({library_query(owner)})"
                    f" AND passage_id IN ({places(some)})",
                    (owner_name(owner), *some),
                )
                held.update((row[1], passage_of(row[1:])) for row in found)
        return held

    def passages_by_row(self, row_ids: Sequence[int]) -> dict[int, Passage]:
        """Returns passages by their rows; rows that no longer exist are left out."""
        with self._database.reading() as connection:
            found = connection.execute(
                f"{SELECT_PASSAGES} WHERE passage.id IN ({places(row_ids)})", list(row_ids)
            )
            return {row[0]: passage_of(row[1:]) for row in found}

    def index_rows(
        self, library: LibraryState, after_row_id: int, model_id: str
    ) -> list[PassageRow]:
        """Returns the passages after a row, ordered by row, with the vectors of a model."""
        with self._database.reading() as connection:
            found = connection.execute(
                f"SELECT passage.id, {PASSAGE}, {DOCUMENT}, model_id, vector FROM passage"  # noqa: S608
                " LEFT JOIN document ON document.id = passage.document"
                " WHERE passage.library = ? AND passage.id > ? ORDER BY passage.id",
                (library.row_id, after_row_id),
            )
            return [
                PassageRow(
                    row_id=row[0],
                    searched_text=passage_of(row[1:-2]).searched_text,
                    vector=vector_of(row[-1]) if row[-2] == model_id else None,
                )
                for row in found
            ]

    def libraries_without_vectors(self, model_id: str) -> list[LibraryState]:
        """Returns the libraries that have passages without a vector of a model."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT id, revision FROM library WHERE id IN"
                " (SELECT library FROM passage WHERE model_id <> ?)",
                (model_id,),
            )
            return [LibraryState(row_id=row[0], revision=row[1]) for row in found]

    def usage(self, owner: Owner) -> tuple[int, int]:
        """Returns how many documents an owner has, and the bytes of their files."""
        with self._database.reading() as connection:
            (count, size_bytes) = connection.execute(
                f"SELECT {_USAGE} FROM document WHERE library = ({library_query(owner)})",  # noqa: S608
                (owner_name(owner),),
            ).fetchone()
        return int(count), int(size_bytes)

    # Writing

    def strip_user_info(self) -> int:
        """Erases user names and passwords from the URLs of documents; returns from how many."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT id, library, source_uri FROM document WHERE source_uri LIKE ?", ("%://%@%",)
            ).fetchall()
        old = [
            (public, row, library)
            for row, library, source_uri in found
            if (public := without_user_info(source_uri)) != source_uri
        ]
        if old:
            with self._database.erasing() as connection:
                for public, row, library in old:
                    connection.execute(
                        "DELETE FROM document WHERE library = ? AND source_uri = ?",
                        (library, public),
                    )
                    connection.execute(
                        "UPDATE document SET source_uri = ? WHERE id = ?", (public, row)
                    )
                    raise_revision(connection, library)
        return len(old)

    def put_document(
        self,
        owner: Owner,
        document: Document,
        passages: Sequence[Passage],
        vectors: Sequence[Vector | None],
        model_id: str,
    ) -> bool:
        """Stores a document in one transaction; returns whether it replaced another one."""
        # Only a replacement leaves data to erase; a first document must not wait for an erasure.
        replaces = self.document(owner, source_uri=document.source_uri) is not None
        change = self._database.erasing if replaces else self._database.transaction
        with change() as connection:
            library = library_row(connection, owner)
            old = connection.execute(
                "DELETE FROM document WHERE library = ? AND source_uri = ?",
                (library, document.source_uri),
            ).rowcount
            if old:
                raise_revision(connection, library)
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
            insert_passages(connection, library, row, passages, vectors, model_id)
        return bool(old)

    def remove_document(self, owner: Owner, document_id: str) -> int | None:
        """Erases a document; returns how many passages it had, None if it does not exist."""
        if self.document(owner, document_id=document_id) is None:
            return None
        with self._database.erasing() as connection:
            row = connection.execute(
                f"SELECT library, id, passage_count FROM document"  # noqa: S608
                f" WHERE library = ({library_query(owner)}) AND document_id = ?",
                (owner_name(owner), document_id),
            ).fetchone()
            if row is None:
                return None
            connection.execute("DELETE FROM document WHERE id = ?", (row[1],))
            raise_revision(connection, row[0])
        return int(row[2])

    def put_passages(
        self,
        owner: Owner,
        passages: Sequence[Passage],
        vectors: Sequence[Vector | None],
        model_id: str,
    ) -> None:
        """Stores passages without a document in one transaction; known ids are replaced.

        Raises:
            InvalidRequest: An id belongs to a passage of a document.
        """
        ids = [one.passage_id for one in passages]
        if len(set(ids)) < len(ids):
            raise InvalidRequest("passages: a passage_id must not occur twice")
        known = self.passages(owner, ids)
        change = self._database.erasing if known else self._database.transaction
        with change() as connection:
            library = library_row(connection, owner)
            if delete_loose(connection, library, ids):
                raise_revision(connection, library)
            held = connection.execute(
                "SELECT passage_id FROM passage WHERE library = ?"  # noqa: S608
                f" AND passage_id IN ({places(ids)})",
                (library, *ids),
            ).fetchone()
            if held is not None:
                raise InvalidRequest(f"passages: {held[0]} belongs to a document")
            insert_passages(connection, library, None, passages, vectors, model_id)

    def remove_passages(self, owner: Owner, passage_ids: Sequence[str]) -> int:
        """Erases passages without a document; returns how many existed."""
        if not self.passages(owner, passage_ids):
            return 0
        with self._database.erasing() as connection:
            state = state_of(connection, owner)
            if state is None:
                return 0
            count = delete_loose(connection, state.row_id, passage_ids)
            raise_revision(connection, state.row_id)
        return count

    def put_vectors(
        self, library: LibraryState, vectors: Sequence[tuple[int, Vector]], model_id: str
    ) -> None:
        """Sets vectors of a library's passages by row; rows that no longer exist are left out.

        An index learns of them from `raise_revision`, after the last ones.
        """
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE passage SET vector = ?, model_id = ? WHERE id = ? AND library = ?",
                [(blob_of(vector), model_id, row, library.row_id) for row, vector in vectors],
            )

    def raise_revision(self, library: LibraryState) -> None:
        """Makes every index of a library read all passages again."""
        with self._database.transaction() as connection:
            raise_revision(connection, library.row_id)
