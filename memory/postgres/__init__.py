"""The memory on PostgreSQL with pgvector: several services over one truth."""
