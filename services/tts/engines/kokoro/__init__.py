"""Kokoro-82M: natural voices in eight languages, with exact times of every sound."""
