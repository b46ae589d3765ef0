"""Translates the memory's SQL from SQLite's to PostgreSQL's dialect.

The statements are our own and plain; these are all the differences, and the test suite runs every
statement on both databases.
"""

import re
from functools import lru_cache
from itertools import count

# `user` is a reserved word: unquoted it means the user of the database session.
_USER = re.compile(r"\buser\b")
_WORDS = (
    ("group_concat(", "string_agg("),
    # SQLite allows an empty list.
    ("IN ()", "IN (NULL)"),
)
_DEFINITIONS = (
    (re.compile(r"\bINTEGER PRIMARY KEY AUTOINCREMENT\b"), "BIGSERIAL PRIMARY KEY"),
    (re.compile(r"\bINTEGER\b"), "BIGINT"),
    (re.compile(r"\bREAL\b"), "DOUBLE PRECISION"),
    # All blobs are vectors.
    (re.compile(r"\bBLOB\b"), "VECTOR"),
    # Sorted by code points, as in SQLite.
    (re.compile(r"\bTEXT\b"), 'TEXT COLLATE "C"'),
    (re.compile(r"\) STRICT(, WITHOUT ROWID)?;"), ");"),
)
_TRIGGER = re.compile(
    r"CREATE TRIGGER (?P<name>\w+) AFTER DELETE ON (?P<table>\w+)\s+WHEN (?P<when>.*?)\s+"
    r"BEGIN\s+(?P<body>.*?)\s+END;",
    re.DOTALL,
)
_TRIGGER_FORM = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {when} THEN
        {body}
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER {name} AFTER DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {name}();
"""


@lru_cache(maxsize=1_024)
def statement(sql: str) -> str:
    """Returns a statement with numbered parameters, `$1` and so on."""
    numbers = count(1)
    numbered = re.sub(r"\?", lambda _: f"${next(numbers)}", sql)
    for written, instead in _WORDS:
        numbered = numbered.replace(written, instead)
    return _USER.sub('"user"', numbered)


def definitions(script: str) -> str:
    """Returns a script that creates tables, indexes and triggers."""
    script = _TRIGGER.sub(lambda found: _TRIGGER_FORM.format(**found.groupdict()), script)
    for pattern, instead in _DEFINITIONS:
        script = pattern.sub(instead, script)
    return _USER.sub('"user"', script)
