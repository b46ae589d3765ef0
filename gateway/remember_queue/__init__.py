"""Turns on their way to the memory: a bounded queue on disk, with retries."""
