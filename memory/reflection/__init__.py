"""Reflection: old turns are condensed into summaries, in the background."""
