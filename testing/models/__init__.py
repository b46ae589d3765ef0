"""Tiny models in the formats of real ones."""
