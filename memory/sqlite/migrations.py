"""The steps that create the tables of the memory's database, oldest first.

A step in a release never changes; later changes are new steps.
"""

from memory.knowledge.schema import KNOWLEDGE

# Row ids are never reused (AUTOINCREMENT): an index in memory knows from the highest id which rows
# it contains. `revision` increases when even an index that contains all rows must be rebuilt.
# There is deliberately no FTS5 table: until SQLite 3.42 it keeps the words of a deleted text in its
# segments, and its ranking counts the texts of all users. The index in memory does neither.
_ITEMS = """
CREATE TABLE user (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE item (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user INTEGER NOT NULL REFERENCES user ON DELETE CASCADE,
    item_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    speaker INTEGER NOT NULL,
    text TEXT NOT NULL,
    session_id TEXT NOT NULL,
    turn_id TEXT NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    UNIQUE (user, item_id)
) STRICT;
CREATE INDEX item_by_row ON item (user, id);
CREATE INDEX item_by_time ON item (user, created_unix_ms, id);
CREATE TABLE vec (
    item INTEGER PRIMARY KEY REFERENCES item ON DELETE CASCADE,
    model_id TEXT NOT NULL,
    dimensions INTEGER NOT NULL,
    vector BLOB NOT NULL
) STRICT;
"""

# The first release did not record its steps; from here on each one is recorded with its checksum.
_SPEAKER_NAMES = """
CREATE TABLE migration (
    version INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL,
    applied_unix_ms INTEGER NOT NULL
) STRICT;
ALTER TABLE item ADD COLUMN speaker_name TEXT NOT NULL DEFAULT '';
"""

# A fact is an item with a row here. A fact is erased with its last source: erased data must not
# live on in facts extracted from it. A fact set by the person has no source. `distillation` records
# the rules by which an item was read; empty means none yet.
_FACTS = """
CREATE TABLE fact (
    item INTEGER PRIMARY KEY REFERENCES item ON DELETE CASCADE,
    subject TEXT NOT NULL,
    attribute TEXT NOT NULL,
    value TEXT NOT NULL,
    value_key TEXT NOT NULL,
    valid_from_unix_ms INTEGER NOT NULL,
    valid_to_unix_ms INTEGER NOT NULL DEFAULT 0,
    confidence REAL NOT NULL,
    superseded_by TEXT NOT NULL DEFAULT '',
    pinned INTEGER NOT NULL DEFAULT 0,
    extractor TEXT NOT NULL
) STRICT;
CREATE TABLE fact_source (
    fact INTEGER NOT NULL REFERENCES fact ON DELETE CASCADE,
    source INTEGER NOT NULL REFERENCES item ON DELETE CASCADE,
    PRIMARY KEY (fact, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_source_by_source ON fact_source (source);
CREATE TRIGGER fact_without_source AFTER DELETE ON fact_source
WHEN NOT EXISTS (SELECT 1 FROM fact_source WHERE fact = OLD.fact)
BEGIN
    DELETE FROM item WHERE id = OLD.fact;
END;
CREATE TABLE distillation (
    item INTEGER PRIMARY KEY REFERENCES item ON DELETE CASCADE,
    extractor TEXT NOT NULL
) STRICT;
CREATE INDEX distillation_by_extractor ON distillation (extractor, item);
INSERT INTO distillation (item, extractor) SELECT id, '' FROM item WHERE kind = 1 AND speaker = 1;
"""

# A recall needs all facts of a user, and a list can be restricted to one kind.
_KINDS = """
CREATE INDEX item_by_kind ON item (user, kind, created_unix_ms, id);
"""

# The number of recalls that returned a fact, and the time of the last one.
_USES = """
CREATE TABLE fact_use (
    fact INTEGER PRIMARY KEY REFERENCES fact ON DELETE CASCADE,
    uses INTEGER NOT NULL,
    last_used_unix_ms INTEGER NOT NULL
) STRICT;
"""

# A summary is an item with a row here, and a turn is in at most one. A summary is erased with the
# first of its sources, because it is unknown which of its words came from that source.
_SUMMARIES = """
CREATE TABLE summary (
    item INTEGER PRIMARY KEY REFERENCES item ON DELETE CASCADE,
    from_unix_ms INTEGER NOT NULL,
    to_unix_ms INTEGER NOT NULL,
    pinned INTEGER NOT NULL DEFAULT 0,
    extractor TEXT NOT NULL
) STRICT;
CREATE TABLE summary_source (
    source INTEGER PRIMARY KEY REFERENCES item ON DELETE CASCADE,
    summary INTEGER NOT NULL REFERENCES summary ON DELETE CASCADE
) STRICT;
CREATE INDEX summary_source_by_summary ON summary_source (summary);
CREATE TRIGGER summary_without_source AFTER DELETE ON summary_source
WHEN EXISTS (SELECT 1 FROM summary WHERE item = OLD.summary)
BEGIN
    DELETE FROM item WHERE id = OLD.summary;
END;
"""

# Hashes of recently erased users and items: requests that were already under way must not bring
# them back. `item_key` is empty where all data of a user was erased.
_ERASURES = """
CREATE TABLE erasure (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_key TEXT NOT NULL,
    item_key TEXT NOT NULL,
    erased_unix_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX erasure_by_user ON erasure (user_key, erased_unix_ns);
CREATE INDEX erasure_by_time ON erasure (erased_unix_ns);
"""

# One row: the number of transactions that erased something, and how many of them the last scrub of
# the files has covered.
_SCRUB = """
CREATE TABLE scrub (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    wanted INTEGER NOT NULL,
    done INTEGER NOT NULL
) STRICT;
INSERT INTO scrub (id, wanted, done) VALUES (1, 0, 0);
"""

# How often background work has failed on an item, see `memory.service.attempts`.
_WORK_FAILURES = """
CREATE TABLE work_failure (
    work TEXT NOT NULL,
    item INTEGER NOT NULL REFERENCES item ON DELETE CASCADE,
    version TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (work, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX work_failure_by_item ON work_failure (item);
"""

# One row: the number of the last transaction of a SQLite database, see `memory.sqlite.commits`.
_COMMIT_COUNT = """
CREATE TABLE commit_count (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO commit_count (id, number) VALUES (1, 0);
"""

MIGRATIONS = (
    _ITEMS,
    _SPEAKER_NAMES,
    _FACTS,
    _KINDS,
    KNOWLEDGE,
    _USES,
    _SUMMARIES,
    _ERASURES,
    _SCRUB,
    _WORK_FAILURES,
    _COMMIT_COUNT,
)
"""The steps in order; the number of a step is the version that it creates."""
