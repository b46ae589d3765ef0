"""Personas: their profiles, corpora and documents."""
