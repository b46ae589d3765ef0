"""The memory's tables in SQLite."""
