"""The steps that make the tables of the memory's database, oldest first.

A step that is in a release never changes; what comes later is a new step.
"""

from memory.knowledge.schema import KNOWLEDGE

# Row ids are never used again (AUTOINCREMENT): an index in memory knows by the highest one what it
# has seen. `revision` rises when an index that has seen all rows must still be made anew.
# There is no FTS5 table on purpose: until SQLite 3.42 it keeps the words of a deleted text in its
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

# The first release kept no notes of its steps; from here on each is noted with its checksum.
_SPEAKER_NAMES = """
CREATE TABLE migration (
    version INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL,
    applied_unix_ms INTEGER NOT NULL
) STRICT;
ALTER TABLE item ADD COLUMN speaker_name TEXT NOT NULL DEFAULT '';
"""

# A fact is an item with a row here. A fact whose last source goes, goes too: what a person erases
# must not live on in what was read out of it. A fact that the person set themselves has no source.
# `distillation` says by which rules an item was read; empty: by none yet.
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

# A recall asks for all facts of a user, and a list can be of one kind.
_KINDS = """
CREATE INDEX item_by_kind ON item (user, kind, created_unix_ms, id);
"""

# In how many recalls a fact was given out, and when last.
_USES = """
CREATE TABLE fact_use (
    fact INTEGER PRIMARY KEY REFERENCES fact ON DELETE CASCADE,
    uses INTEGER NOT NULL,
    last_used_unix_ms INTEGER NOT NULL
) STRICT;
"""

# A summary is an item with a row here, and a turn is in at most one. A summary goes with the first
# of its sources that goes: nobody can tell which of its words came from it.
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

# Hashes of users and items that were erased lately: what was on its way to the memory then must not
# bring them back. `item_key` is empty where all of a user was erased.
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

# One row: how many transactions have erased something, and how many of them the last scrub of the
# files has reached.
_SCRUB = """
CREATE TABLE scrub (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    wanted INTEGER NOT NULL,
    done INTEGER NOT NULL
) STRICT;
INSERT INTO scrub (id, wanted, done) VALUES (1, 0, 0);
"""

# How often work in the background has failed at an item, see `memory.attempts`.
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
)
"""The steps in their order; the number of a step is the version that it makes."""
