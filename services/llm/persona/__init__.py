"""Personas: who speaks, their corpus and their documents."""
