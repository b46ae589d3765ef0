"""Fixtures of the memory tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memory.postgres.store import PostgresStore
from memory.sqlite.store import Store
from memory.store import Truth


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Truth]:
    """An empty store, once on each database."""
    store: Truth
    if request.param == "sqlite":
        store = Store(tmp_path, synchronous="normal")
    else:
        address: Callable[[], str] = request.getfixturevalue("new_postgres_database")
        store = PostgresStore(address(), connections=4)
    yield store
    store.close()
