"""Text that a voice can read."""
