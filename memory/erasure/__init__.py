"""Erasure: what a person, or a limit of age, removes for good. See docs/memory.md."""
