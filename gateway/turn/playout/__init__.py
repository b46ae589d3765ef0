"""Which media leaves when, and what of it was heard."""
