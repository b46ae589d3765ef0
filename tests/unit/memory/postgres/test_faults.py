import sqlite3

import asyncpg
import pytest

from memory.faults import DISK_FULL_REASON
from memory.postgres.dialect import definitions, statement
from memory.postgres.faults import fault
from memory.postgres.store import place_of
from services.runtime.errors import AnimaError, Busy, InternalError, Unavailable

PLACE = "postgresql://db.example/anima"


@pytest.mark.parametrize(
    ("error", "meaning", "said"),
    [
        (asyncpg.DiskFullError("could not extend file"), Busy, "is full.*Make room"),
        (asyncpg.AdminShutdownError("terminating"), Unavailable, "does not answer"),
        (ConnectionRefusedError(111, "refused"), Unavailable, "does not answer"),
        (TimeoutError(), Unavailable, "does not answer: TimeoutError"),
        (asyncpg.ReadOnlySQLTransactionError("cannot"), Unavailable, "read-only"),
        (asyncpg.UndefinedTableError("no table: secret text"), InternalError, "its log says why"),
    ],
)
def test_errors_of_the_server_are_told_by_what_they_mean(
    error: Exception, meaning: type[AnimaError], said: str
) -> None:
    with pytest.raises(meaning, match=said) as caught:
        raise fault(error, PLACE)
    assert "secret" not in str(caught.value)
    if isinstance(caught.value, Busy):
        assert caught.value.reason == DISK_FULL_REASON
        assert PLACE in caught.value.message


def test_what_is_not_unique_is_the_error_of_sqlite() -> None:
    assert isinstance(fault(asyncpg.UniqueViolationError("x"), PLACE), sqlite3.IntegrityError)


def test_the_address_is_told_without_secrets() -> None:
    assert place_of("postgresql://me:hush@db.example:5433/anima?sslmode=require") == (
        "postgresql://db.example:5433/anima"
    )


def test_statements_are_translated() -> None:
    assert statement("SELECT id FROM user WHERE user_id = ? AND user = ? AND x IN ()") == (
        'SELECT id FROM "user" WHERE user_id = $1 AND "user" = $2 AND x IN (NULL)'
    )
    assert definitions("CREATE TABLE user (id INTEGER PRIMARY KEY AUTOINCREMENT) STRICT;") == (
        'CREATE TABLE "user" (id BIGSERIAL PRIMARY KEY);'
    )
