"""What a file of a stranger could do to its decoder."""
