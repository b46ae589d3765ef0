"""Measurements of recall, on conversations and on memories in two languages."""
