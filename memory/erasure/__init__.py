"""Erasure: permanent removal at a person's request or by an age limit. See docs/memory.md."""
