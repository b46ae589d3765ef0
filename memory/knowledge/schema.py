"""The tables of the knowledge base; a step of `memory.sqlite.migrations` that never changes."""

# A library belongs to one owner: a person, with whom it is erased, or a persona. `revision`
# increases when even an index that has seen all passages must be rebuilt, as for users.
KNOWLEDGE = """
CREATE TABLE library (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user INTEGER UNIQUE REFERENCES user ON DELETE CASCADE,
    persona TEXT UNIQUE,
    revision INTEGER NOT NULL DEFAULT 0,
    CHECK ((user IS NULL) <> (persona IS NULL))
) STRICT;
CREATE TABLE document (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    library INTEGER NOT NULL REFERENCES library ON DELETE CASCADE,
    document_id TEXT NOT NULL,
    title TEXT NOT NULL,
    source_uri TEXT NOT NULL,
    media_type TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    page_count INTEGER NOT NULL,
    passage_count INTEGER NOT NULL,
    added_unix_ms INTEGER NOT NULL,
    UNIQUE (library, document_id),
    UNIQUE (library, source_uri)
) STRICT;
CREATE INDEX document_by_title ON document (library, title, document_id);
CREATE TABLE passage (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    library INTEGER NOT NULL REFERENCES library ON DELETE CASCADE,
    document INTEGER REFERENCES document ON DELETE CASCADE,
    passage_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    heading TEXT NOT NULL,
    page INTEGER NOT NULL,
    text TEXT NOT NULL,
    metadata_json TEXT NOT NULL,
    model_id TEXT NOT NULL,
    vector BLOB,
    UNIQUE (library, passage_id)
) STRICT;
CREATE INDEX passage_by_document ON passage (document, number);
CREATE INDEX passage_by_row ON passage (library, id);
"""
