"""Reads documents: runs in a process of its own, which needs nothing of the service."""
