"""Reads documents: runs in a separate process that needs nothing from the service."""
