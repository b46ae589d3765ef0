"""Fragmented MP4 for Media Source Extensions."""
