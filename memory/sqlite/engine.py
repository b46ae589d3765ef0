"""The embedded engine: one SQLite database file."""

from memory.sqlite.schema import StoreError
from memory.sqlite.store import Store
from memory.stored_engine import StoredMemory


class SqliteMemory(StoredMemory):
    """Stores the items of all users in one database file."""

    name = "sqlite"

    def _open_store(self) -> Store:
        try:
            return Store(
                self._settings.data_dir / "memory",
                synchronous=self._settings.synchronous,
                key=self._settings.encryption_key(),
                check_s=self._settings.start_check_s,
                reserve_bytes=self._settings.reserve_bytes,
            )
        except StoreError as error:
            raise StoreError(f"ANIMA_DATA_DIR: {error}") from error
