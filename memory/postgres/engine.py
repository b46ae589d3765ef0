"""The engine `postgres`: several memory services over one database."""

from memory.postgres.store import PostgresStore
from memory.sqlite.schema import StoreError
from memory.stored_engine import StoredMemory

SPARE_CONNECTIONS = 6
"""Connections for writing and erasing, in addition to one per search thread."""


class PostgresMemory(StoredMemory):
    """Stores the items of all users in PostgreSQL with pgvector."""

    name = "postgres"

    def _open_store(self) -> PostgresStore:
        address = self._settings.postgres_address()
        try:
            return PostgresStore(address, connections=self._settings.threads + SPARE_CONNECTIONS)
        except StoreError as error:
            raise StoreError(f"ANIMA_MEMORY_POSTGRES: {error}") from error
