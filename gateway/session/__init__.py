"""A conversation: its input, its turns, its history."""
