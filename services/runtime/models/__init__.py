"""The model store: files pinned by SHA-256."""
