"""Finds the entries and passages of a persona that match a question."""
