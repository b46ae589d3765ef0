"""Engines of the language-model stage."""
