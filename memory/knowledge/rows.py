"""Documents and passages as rows of the database: queries, writes and conversions.

All functions must be used within a transaction or a reading connection.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memory.knowledge.document import Document, Owner, Passage
from memory.knowledge.uris import without_user_info
from memory.sqlite import rows
from memory.sqlite.connection import Connection
from text.cleaning import clean_line

Vector = NDArray[np.float32]

DOCUMENT: Final = (
    "document.document_id, document.title, document.source_uri, document.media_type,"
    " document.sha256, document.size_bytes, document.page_count, document.passage_count,"
    " document.added_unix_ms"
)
"""The columns that `document_of` reads."""
MAX_PASSAGE_CHARS: Final = 8_000
CUT_MARK: Final = " […]"
"""The end of a passage that an older version stored with more characters than a passage has."""
PASSAGE: Final = (
    f"passage_id, substr(passage.text, 1, {MAX_PASSAGE_CHARS + 1}), heading, page, number,"
    " metadata_json"
)
"""The columns that `passage_of` reads, followed by those of the document."""
SELECT_PASSAGES: Final = (
    f"SELECT passage.id, {PASSAGE}, {DOCUMENT} FROM passage"  # noqa: S608
    " LEFT JOIN document ON document.id = passage.document"
)
_MAX_PLACES: Final = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class LibraryState:
    """The state that an index must match."""

    row_id: int
    revision: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PassageRow:
    """The data of a passage that an index needs."""

    row_id: int
    searched_text: str
    vector: Vector | None


def library_query(owner: Owner) -> str:
    """Returns a query for the library of an owner; `owner_name` is its parameter."""
    if owner.user_id:
        return "SELECT id FROM library WHERE user = (SELECT id FROM user WHERE user_id = ?)"
    return "SELECT id FROM library WHERE persona = ?"


def owner_name(owner: Owner) -> str:
    """Returns the name of an owner, the parameter of `library_query`."""
    return owner.user_id or owner.persona


def state_of(connection: Connection, owner: Owner) -> LibraryState | None:
    """Returns the state of an owner's library; None: the owner has no library."""
    row = connection.execute(
        f"SELECT id, revision FROM library WHERE id = ({library_query(owner)})",  # noqa: S608
        (owner_name(owner),),
    ).fetchone()
    return None if row is None else LibraryState(row_id=row[0], revision=row[1])


def library_row(connection: Connection, owner: Owner) -> int:
    """Returns the row of an owner's library, which is created if it is missing."""
    state = state_of(connection, owner)
    if state is not None:
        return state.row_id
    user = rows.user_row(connection, owner.user_id) if owner.user_id else None
    (row,) = connection.execute(
        "INSERT INTO library (user, persona) VALUES (?, ?) RETURNING id",
        (user, owner.persona or None),
    ).fetchone()
    return int(row)


def raise_revision(connection: Connection, library: int) -> None:
    """Marks the index of a library as outdated."""
    connection.execute("UPDATE library SET revision = revision + 1 WHERE id = ?", (library,))


def insert_passages(
    connection: Connection,
    library: int,
    document: int | None,
    passages: Sequence[Passage],
    vectors: Sequence[Vector | None],
    model_id: str,
) -> None:
    """Writes passages.

    Args:
        connection: Writes.
        library: The row of the library.
        document: The row of their document; None: they belong to no document.
        passages: The passages.
        vectors: One for each passage; None where there is none.
        model_id: The model that made the vectors.
    """
    connection.executemany(
        "INSERT INTO passage (library, document, passage_id, text, heading, page, number,"
        " metadata_json, model_id, vector)"
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
                None if vector is None else blob_of(vector),
            )
            for one, vector in zip(passages, vectors, strict=True)
        ],
    )


def delete_loose(connection: Connection, library: int, passage_ids: Sequence[str]) -> int:
    """Deletes passages of no document; returns how many there were."""
    return sum(
        connection.execute(
            "DELETE FROM passage WHERE library = ? AND document IS NULL"  # noqa: S608
            f" AND passage_id IN ({places(some)})",
            (library, *some),
        ).rowcount
        for some in in_parts(passage_ids)
    )


def in_parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yields ids in parts that fit into one statement."""
    for start in range(0, len(ids), _MAX_PLACES):
        yield ids[start : start + _MAX_PLACES]


def places(values: Sequence[object]) -> str:
    """Returns a placeholder for each value, for `IN (...)`."""
    return ", ".join("?" * len(values))


def blob_of(vector: Vector) -> bytes:
    """Returns a vector as it is stored: little-endian 32-bit floats."""
    return vector.astype("<f4").tobytes()


def vector_of(blob: bytes | None) -> Vector | None:
    """Returns a stored vector; None: there is none."""
    return None if blob is None else np.frombuffer(blob, dtype="<f4")


def document_of(row: Sequence[Any]) -> Document:
    """Returns the document of a row with the columns `DOCUMENT`."""
    document_id, title, source_uri, media_type, sha256, size, pages, passages, added = row
    return Document(
        document_id=document_id,
        title=clean_line(title),
        # An older version stored passwords in URLs.
        source_uri=without_user_info(source_uri),
        media_type=media_type,
        sha256=sha256,
        size_bytes=size,
        page_count=pages,
        passage_count=passages,
        added_unix_ms=added,
    )


def passage_of(row: Sequence[Any]) -> Passage:
    """Returns the passage of a row with the columns `PASSAGE` and `DOCUMENT`."""
    passage_id, text, heading, page, number, metadata_json = row[:6]
    if len(text) > MAX_PASSAGE_CHARS:
        text = text[: MAX_PASSAGE_CHARS - len(CUT_MARK)] + CUT_MARK
    return Passage(
        passage_id=passage_id,
        text=text,
        heading=heading,
        page=page,
        number=number,
        metadata_json=metadata_json,
        document=None if row[6] is None else document_of(row[6:]),
    )
