"""Text segments to speech."""
