"""The memory on PostgreSQL with pgvector: several services share one database."""
