"""Decoders in processes of their own, which block and fail without the service."""
