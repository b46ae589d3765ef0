import sqlite3

import asyncpg
import pytest

from memory.postgres.dialect import definitions, statement
from memory.postgres.faults import fault
from memory.postgres.store import PostgresStore, place_of
from memory.service.faults import StoreError
from services.runtime.errors import DISK_FULL_REASON, AnimaError, Busy, InternalError, Unavailable

PLACE = "postgresql://db.example/anima"


@pytest.mark.parametrize(
    ("error", "meaning", "said"),
    [
        (asyncpg.DiskFullError("could not extend file"), Busy, "is full.*Make room"),
        (asyncpg.AdminShutdownError("terminating"), Unavailable, "does not answer"),
        (ConnectionRefusedError(111, "refused"), Unavailable, "does not answer"),
        (TimeoutError(), Unavailable, "does not answer: TimeoutError"),
        (asyncpg.ReadOnlySQLTransactionError("cannot"), Unavailable, "read-only"),
        (asyncpg.UndefinedTableError("no table: secret text"), InternalError, "see its log"),
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


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("nonsense", "must be postgresql://"),
        ("http://me:hush@db.example/anima", "must be postgresql://"),
        ("postgresql://me:hush@db.example:five/anima", r"example:five/anima has an invalid port"),
        ("postgresql://me:123/hush@db.example:five/anima", r"postgresql://db\.example:five/anima"),
        ("postgresql://me:hu/hush@127.0.0.1:1/anima", r"postgresql://127\.0\.0\.1:1/anima|wrong"),
    ],
)
def test_a_wrong_address_is_explained_without_secrets(address: str, problem: str) -> None:
    with pytest.raises(StoreError, match=problem) as caught:
        PostgresStore(address, connections=1)
    assert "hush" not in str(caught.value)
