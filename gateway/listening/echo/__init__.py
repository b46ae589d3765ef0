"""Keeps what the face says out of what the microphone hears."""
