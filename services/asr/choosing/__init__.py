"""Which recogniser an installation uses, and which languages it understands."""
