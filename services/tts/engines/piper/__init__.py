"""Voices of a person's own in the format of Piper: a model and its description in JSON."""
